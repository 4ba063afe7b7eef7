"""Before a run is repeated, differences from its recorded environment are noted, or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json

CONFIG = "tasks: [{id: a, command: 'python -V && test ! -e /nonexistent$FAIL'}]\n"


def virtual_environment(directory: Path, **packages: str) -> Path:
    """Make the least that is a virtual environment with these packages."""
    python = Path(os.path.realpath(sys.executable))
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/python").symlink_to(python)
    (directory / "pyvenv.cfg").write_text(
        f"home = {python.parent}\ninclude-system-site-packages = false\n"
    )
    major, minor = sys.version_info[:2]
    site = directory / f"lib/python{major}.{minor}/site-packages"
    site.mkdir(parents=True)
    for name, version in packages.items():
        (site / f"{name}-{version}.dist-info").mkdir()
    return site


def add_package(site: Path, name: str, version: str, **origin: object) -> None:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    if origin:
        (info / "direct_url.json").write_text(json.dumps(origin))


@pytest.fixture
def first(project: Path) -> dict[str, str]:
    """Run a config in a virtual environment, and return the variables that activate it."""
    place = project.parent / "first"
    virtual_environment(place, numpy="1.26.4", scipy="1.11.0")
    env = {"VIRTUAL_ENV": str(place)}
    commit_files(project, {"experiments/e.yaml": CONFIG})
    gitorch(project, "run", "experiments", env=env)
    return env


def site_of(project: Path) -> Path:
    [site] = (project.parent / "first").glob("lib/python*/site-packages")
    return site


def test_the_same_environment_is_not_mentioned(
    project: Path, first: dict[str, str]
) -> None:
    repeated = gitorch(project, "rerun", "@", "--queue", "--strict", env=first)
    assert repeated.stderr == ""


def test_differences_are_noted_by_kind_and_strict_refuses_them(
    project: Path, first: dict[str, str]
) -> None:
    run_id = gitorch_json(project, "list")["runs"][0]["id"]
    site = site_of(project)
    (site / "numpy-1.26.4.dist-info").rename(site / "numpy-2.0.1.dist-info")
    for number in range(4):
        add_package(site, f"new{number}", "1.0")
    env = {**first, "OMP_NUM_THREADS": "1"}
    refused = gitorch(project, "rerun", "@", "--strict", env=env, code=4)
    assert "nothing was queued, because of --strict" in refused.stderr
    assert len(gitorch_json(project, "list")["runs"]) == 1
    repeated = gitorch(project, "rerun", "@", "--queue", env=env)
    assert repeated.stderr.splitlines() == [
        f"note: environment differs from {run_id}: packages: numpy 1.26.4 -> 2.0.1, "
        "new0 none -> 1.0, new1 none -> 1.0 and 2 more",
        f"note: environment differs from {run_id}: variables: OMP_NUM_THREADS none -> 1",
    ]


def test_an_interpreter_that_is_gone_is_named_with_its_replacement(
    project: Path, first: dict[str, str]
) -> None:
    place = Path(first["VIRTUAL_ENV"])
    place.rename(project.parent / "second")
    second = {"VIRTUAL_ENV": str(project.parent / "second")}
    repeated = gitorch(project, "rerun", "@", "--strict", env=second)
    assert f"{place}/bin/python, no longer exists: " in repeated.stderr
    assert f"{project.parent}/second/bin/python (3." in repeated.stderr
    environment = gitorch_json(project, "show", "@")["run"]["environment"]
    assert environment["interpreter"] == f"{project.parent}/second/bin/python"


def test_retry_compares_with_the_earlier_attempts(project: Path) -> None:
    config = CONFIG.replace("test", "false && test")
    commit_files(project, {"experiments/e.yaml": config})
    for seed in ("1", "2"):
        gitorch(project, "run", "experiments", "-S", f"seed={seed}", code=1)
    env = {"TZ": "Asia/Tokyo"}
    refused = gitorch(project, "retry", "--all", "-y", "--strict", env=env, code=4)
    assert "timezone" in refused.stderr
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "ERROR"
    }
    retried = gitorch(project, "retry", "--all", "-y", env=env)
    [note] = [line for line in retried.stderr.splitlines() if "timezone" in line]
    assert "environment differs from" in note
    for run in gitorch_json(project, "list")["runs"]:
        assert run["id"] in note


def test_env_prints_what_was_recorded(project: Path, first: dict[str, str]) -> None:
    record = gitorch_json(project, "show", "@")["run"]
    document = gitorch_json(project, "env", "@")
    assert document == {
        "schema": "gitorch/env/v1",
        "id": record["id"],
        "hosts": [record["tasks"][0]["attempts"][0]["host"]],
        "environment": record["environment"],
    }
    text = gitorch(project, "env", "@").stdout
    assert f"{first['VIRTUAL_ENV']}/bin/python" in text
    assert "packages\n  numpy  1.26.4\n  scipy  1.11.0\n" in text
    assert "  PYTHONHASHSEED  0" in text


def test_a_run_without_a_recorded_environment_says_so(project: Path) -> None:
    commit_files(project, {"experiments/e.yaml": CONFIG})
    gitorch(project, "ready")
    missing = gitorch(project, "env", "@", code=3)
    assert "no environment is recorded for e" in missing.stderr


PARSE = """
import sys
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements
for found in parse_requirements(sys.argv[1], session=PipSession()):
    print(install_req_from_parsed_requirement(found).req)
"""


def test_requirements_are_what_pip_accepts(project: Path) -> None:
    site = virtual_environment(project.parent / "first", numpy="1.26.4")
    commit = "c" * 40
    git_info = {"vcs": "git", "commit_id": commit}
    add_package(site, "torch", "2.1.0+cu121")
    add_package(
        site, "mine", "0.1", url=f"file://{project}", dir_info={"editable": True}
    )
    add_package(site, "here", "0.1", url="file:///somewhere/x.whl", archive_info={})
    add_package(site, "odd", "not a version")
    add_package(
        site,
        *("tool", "1.0"),
        url="https://me:pw@example.org/tool.git",
        vcs_info=git_info,
        subdirectory="python",
    )
    add_package(
        site,
        *("archive", "1.0"),
        url="https://example.org/archive-1.0.zip",
        archive_info={"hash": f"sha256={'e' * 64}"},
    )
    commit_files(project, {"experiments/e.yaml": CONFIG})
    env = {"VIRTUAL_ENV": str(project.parent / "first")}
    gitorch(project, "run", "experiments", env=env)
    printed = gitorch(project, "env", "@", "--as", "requirements")
    assert printed.stdout.splitlines()[1:] == [
        f"archive @ https://example.org/archive-1.0.zip#sha256={'e' * 64}",
        "# here==0.1: installed from file:///somewhere/x.whl, which is on one machine alone",
        f"# mine==0.1: installed editable from file://{project}",
        "numpy==1.26.4",
        "# odd==not a version: not a version that pip accepts",
        f"tool @ git+https://example.org/tool.git@{commit}#subdirectory=python",
        "torch==2.1.0+cu121",
    ]
    assert printed.stderr == "note: 3 packages only as a comment\n"
    file = project.parent / "requirements.txt"
    file.write_text(printed.stdout)
    parsed = subprocess.run(
        [sys.executable, "-c", PARSE, file],
        env={
            "HOME": str(project.parent)
        },  # pip asks other programs for their versions
        capture_output=True,
        text=True,
        check=True,
    )
    names = [
        line.split("@")[0].split("==")[0].strip()
        for line in parsed.stdout.split("\n")
    ]
    assert names[:-1] == ["archive", "numpy", "tool", "torch"]


def test_a_record_of_an_earlier_version_differs_only_in_what_it_has(
    project: Path, first: dict[str, str]
) -> None:
    record = gitorch_json(project, "show", "@")["run"]
    checkout = project.parent / "checkout"
    git(project, "worktree", "add", "-q", str(checkout), "gitorch/results")
    path = checkout / f"runs/{record['id'][:2]}/{record['id']}/record.json"
    older = json.loads(path.read_text())
    del older["environment_sha256"]
    environment = record["environment"]
    for name in ("implementation", "cpu", "locale", "timezone", "umask"):
        environment.pop(name, None)
    older["environment"] = environment
    path.write_text(json.dumps(older))
    git(checkout, "commit", "-qam", "as formerly")
    git(project, "worktree", "remove", str(checkout))
    env = {**first, "NUMEXPR_MAX_THREADS": "2"}
    assert "note" not in gitorch(project, "rerun", "@", "--strict", env=env).stderr
    compared = gitorch_json(project, "compare", "@~1", "@")["environment"]
    assert compared["changed"] == {}


def test_the_requirements_of_a_run_without_python(project: Path) -> None:
    commit_files(
        project, {"experiments/e.yaml": "tasks: [{id: t, command: [echo]}]"}
    )
    gitorch(project, "run", "experiments")
    [run] = gitorch_json(project, "list")["runs"]
    printed = gitorch(project, "env", "@", "--as", "requirements").stdout
    assert printed == f"# gitorch env {run['id']}: no Python is recorded\n"
