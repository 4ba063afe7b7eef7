"""A result is proved by repeating its run, and a difference is told with its place and cause."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json

TASKS = """
import gitorch, json, os, struct, time

class Seeded(gitorch.TaskBase):
    def run(self):
        seed = self.config.get("seed", time.time_ns())
        return {"score": seed % 1000003, "list": [seed % 7]}

class Bits(gitorch.TaskBase):
    def run(self):
        noise = time.time_ns() % 1000 * 1e-15
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}\\n"
        data = struct.pack("<2d", 1.0, 2.0 + noise)
        where = self.config["outputDir"]
        with open(where + "/weights.npy", "wb") as file:
            file.write(b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(header)) + header + data)
        with open(where + "/table.yaml", "w") as file:
            file.write("a: %.17g\\n" % (1.0 + noise))
        print("done at", time.time(), "in", os.getcwd())

class Uses(gitorch.TaskBase):
    def run(self):
        import dep
        return {"answer": dep.ANSWER}
"""
CONFIGS = {
    "seeded": "seed: 3\ntasks: [{id: t, method: Seeded}]",
    "clock": "tasks: [{id: t, method: Seeded}]",
    "bits": "tasks: [{id: t, method: Bits}]",
    "nothing": 'tasks: [{id: t, command: "true"}]',
    "bad": 'tasks: [{id: t, command: "exit 3"}]',
}


@pytest.fixture
def project(project: Path) -> Path:
    files = {f"experiments/{name}.yaml": text for name, text in CONFIGS.items()}
    commit_files(project, {"Tasks.py": TASKS, **files})
    return project


def ran(project: Path, name: str, code: int = 0) -> str:
    gitorch(project, "run", f"experiments/{name}.yaml", code=code)
    newest: str = gitorch_json(project, "list")["runs"][0]["id"]
    return newest


def verdicts(project: Path, *words: str, code: int = 0) -> list[dict[str, Any]]:
    document = gitorch_json(project, *words, "--json", code=code)
    assert document["schema"] == "gitorch/verify/v1"
    found: list[dict[str, Any]] = document["verdicts"]
    return found


def test_a_run_that_depends_on_nothing_else_is_identical(project: Path) -> None:
    first = ran(project, "seeded")
    [verdict] = verdicts(project, "verify", "seeded")
    assert (verdict["of"], verdict["verdict"]) == (first, "identical")
    assert (verdict["differs"], verdict["also"]) == ([], [])
    # A repetition of the repetition is compared with the first run as well.
    again = gitorch(project, "rerun", verdict["id"], "--verify")
    assert f" repeats {first}: identical" in again.stderr


def test_a_seed_from_the_clock_is_a_difference(project: Path) -> None:
    first = ran(project, "clock")
    [verdict] = verdicts(project, "verify", first, code=1)
    assert (verdict["verdict"], verdict["also"]) == ("differs", [])
    assert "score" in verdict["differs"]
    shown = gitorch(
        project, "verify", first, "--tolerance", "abs=2000000", code=None
    )
    assert "  score" not in shown.stderr, "it is within the tolerance"


def test_the_last_bits_are_within_the_tolerance(project: Path) -> None:
    first = ran(project, "bits")
    [verdict] = verdicts(project, "verify", first)
    assert verdict["verdict"] == "within-tolerance"
    assert verdict["within"]["weights.npy"]["largest_at"] == "[1]"
    assert verdict["within"]["table.yaml"]["largest_at"] == "a"
    [exact] = verdicts(project, "verify", first, "--tolerance", "0", code=1)
    assert exact["first"]["weights.npy"]["at"] == "[1]"
    assert exact["differs"] == ["table.yaml", "weights.npy"]
    gitorch(project, "verify", first, "--tolerance", "1e-3", code=2)


def test_nothing_is_compared_where_there_is_nothing(project: Path) -> None:
    [verdict] = verdicts(project, "verify", ran(project, "nothing"), code=1)
    assert verdict["verdict"] == "nothing-to-compare"
    failed = ran(project, "bad", code=1)
    for words in (["verify", failed], ["rerun", failed, "--verify"]):
        refused = gitorch(project, *words, code=4).stderr
        assert f"bad ({failed}) is ERROR, not COMPLETE; there is nothing" in refused
    count = len(gitorch_json(project, "list")["runs"])
    assert count == 3, "nothing was repeated in vain"
    # Of a selection, the runs that can be verified are.
    document = gitorch_json(project, "verify", "--where", "true == true", code=1)
    assert len(document["verdicts"]) == 1
    assert [entry["id"] for entry in document["refused"]] == [failed]


def test_a_sample_is_the_same_each_time(project: Path) -> None:
    config = (
        "gitorch: {matrix: {seed: 'range(8)'}}\ntasks: [{id: t, method: Seeded}]"
    )
    commit_files(project, {"experiments/sweep.yaml": config})
    gitorch(project, "run", "experiments/sweep.yaml", "-j", "2")
    one = verdicts(project, "verify", "--sample", "5%")
    two = verdicts(project, "verify", "--sample", "5%")
    other = verdicts(project, "verify", "--sample", "2", "--seed", "x", "-j", "2")
    assert [verdict["of"] for verdict in one] == [verdict["of"] for verdict in two]
    assert len(one) == 1
    assert len({verdict["of"] for verdict in other}) == 2
    for wrong in ("0", "101%", "1.5", "-1", "x", "9" * 400):
        gitorch(project, "verify", "--sample", wrong, code=2)


def test_a_changed_package_is_named(project: Path, tmp_path: Path) -> None:
    """The package is in the project's own interpreter, and is replaced between two runs."""
    venv = tmp_path / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", venv], check=True
    )
    [packages] = venv.glob("lib/python*/site-packages")
    install(packages, "1.26.4", 1)
    git(project, "config", "gitorch.python", str(venv / "bin/python"))
    commit_files(
        project, {"experiments/uses.yaml": "tasks: [{id: t, method: Uses}]"}
    )
    first = ran(project, "uses")
    install(packages, "2.0.1", 22)
    repeated = gitorch(project, "verify", first, code=1).stderr
    assert "  answer  1 -> 22" in repeated
    assert "likely cause: the environment: dep 1.26.4 -> 2.0.1" in repeated


def install(packages: Path, version: str, answer: int) -> None:
    for old in packages.glob("dep-*"):
        shutil.rmtree(old)
    (packages / "dep.py").write_text(f"ANSWER = {answer}\n")
    metadata = packages / f"dep-{version}.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: dep\nVersion: {version}\n")


def test_a_large_file_that_is_not_here_is_named(project: Path) -> None:
    git(project, "config", "gitorch.largeFile", "10")
    first = ran(project, "bits")
    for stored in (project / ".git").rglob("*"):
        if len(stored.name) == 64 and stored.is_file():
            stored.unlink()
    repeated = gitorch(project, "verify", first, code=1).stderr
    assert (
        "not compared by value: a large file that is not in this clone" in repeated
    )
