"""Every `pip install` of the texts works, in a new environment, and brings what its text says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from gitorch.cli.topics import TOPICS, render_topic
from tests.conftest import commit_files, write
from tests.test_packaging import ROOT, SHIPPED

CURVE = """
    tasks:
      - id: t
        command: |
          for step in 1 2 3; do
            echo '{"metric": "loss", "value": '$step', "step": '$step'}' >> $GITORCH_EVENTS
          done
"""
LOCKED = "gitorch: {python: uv}\ntasks: [{id: t, command: 'true'}]\n"
PROJECT = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.11"\n'
LOCK = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "p"
version = "0"
source = { virtual = "." }
"""
NEEDS_EXTRAS = {
    "uv": ("run", "locked.yaml"),
    "plot": ("plot", "curve", "--metric", "loss"),
    "dask": (
        *("run", "other.yaml", "--engine", "dask"),
        *("--scheduler", "tcp://127.0.0.1:9"),
    ),
}
OF_EXTRAS = ("uv", "plotext", "dask", "distributed")
PROGRAM_MISSING = 69
# The exit codes with the extra. No scheduler has this address.
WITH_EXTRAS = {"uv": 0, "plot": 0, "dask": 5}


def installations() -> list[str]:
    """Return the commands that install gitorch, in the order of the texts."""
    pages = [(ROOT / "README.md").read_text(), *map(render_topic, TOPICS)]
    found = re.findall(
        r"pip install (?:\.(?=\n)|\"[^\"\n]+\"|'[^'\n]+')", "\n".join(pages)
    )
    return list(dict.fromkeys(found))


def share_packages(site_packages: Path) -> None:
    """Link the packages of this environment, except gitorch and what its extras install.

    Only the extras are fetched then. `.ci/setup` has installed the others.
    """
    for path in Path(pytest.__file__).parents[1].iterdir():
        name = re.split(r"-\d", path.name)[0]
        if name not in OF_EXTRAS and "gitorch" not in name:
            (site_packages / path.name).symlink_to(path)


def in_shell(
    command: str, root: Path, programs: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=root,
        env={
            **os.environ,
            "PATH": f"{programs}:/usr/bin:/bin",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "XDG_CACHE_HOME": str(root.parent / "cache"),
            # pip takes 0 as "no isolation": the build uses the setuptools that is there.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_COMPILE": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(400)
def test_the_installations_of_the_texts(project: Path, tmp_path: Path) -> None:
    """They are executed in the order of the texts. Each extra is missing until it is installed."""
    source = tmp_path / "gitorch"
    source.mkdir()
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    venv.create(tmp_path / "venv")
    programs = tmp_path / "venv/bin"
    share_packages(*tmp_path.glob("venv/lib/python3*/site-packages"))
    # pip itself is that of the tests: to install another one takes several seconds.
    pip = f'exec {sys.executable} -m pip --python={programs}/python "$@"'
    write(programs, "pip", f"#!/bin/sh\n{pip}\n").chmod(0o755)
    commit_files(project, {"pyproject.toml": PROJECT, "uv.lock": LOCK})
    write(project, "curve.yaml", CURVE)
    write(project, "locked.yaml", LOCKED)
    write(project, "other.yaml", "tasks: [{id: t, command: 'true'}]\n")

    first, *extras = installations()
    assert first == "pip install ."
    assert {re.findall(r"\[(\w+)\]", command)[0] for command in extras} == {
        *NEEDS_EXTRAS
    }
    for command in (first, *extras):
        if command != first:
            (extra,) = re.findall(r"\[(\w+)\]", command)
            needing = f"gitorch {' '.join(NEEDS_EXTRAS[extra])}"
            without = in_shell(needing, project, programs)
            assert without.returncode == PROGRAM_MISSING, without.stderr
        installed = in_shell(command, source, programs)
        assert installed.returncode == 0, installed.stderr
        if command == first:
            ran = in_shell("gitorch run curve.yaml", project, programs)
            assert ran.returncode == 0, ran.stderr
        else:
            now = in_shell(needing, project, programs)
            assert now.returncode == WITH_EXTRAS[extra], now.stderr
