"""A results branch, and functions that write to it and check it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from tests.conftest import git

REPOSITORY_ROOT = Path(__file__).parents[3]
RUN = "3f2a5c8e91d0"
OTHER = "a1b2c3d4e5f6"

# Commits one run after the other, and prints the number of each run that is committed.
_WRITER = """
import sys
from pathlib import Path
from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
branch = ResultsBranch(Repository.discover(Path(sys.argv[1])))
first, count = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + count):
    with branch.changing() as edit:
        edit.put_record({"id": f"{number % 256:02x}{number:010x}"})
        edit.put("shared", f"{number}".encode() * 50)
        edit.commit(f"run {number}")
    print(number, flush=True)
"""


@pytest.fixture
def branch(project: Path) -> ResultsBranch:
    return ResultsBranch(Repository.discover(project))


def put(
    branch: ResultsBranch, run: str = RUN, subject: str = "a change", **more: object
) -> str:
    """Commit the record of a run; return the branch's tip."""
    with branch.changing() as edit:
        edit.put_record({"id": run, **more})
        return edit.commit(subject).tip


def start_writer(project: Path, first: int, count: int) -> subprocess.Popen[str]:
    """Start a process that commits `count` runs, numbered from `first` on."""
    command = [sys.executable, "-c", _WRITER, str(project), str(first), str(count)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    )


def ids_of(numbers: range | list[int]) -> set[str]:
    """Return the ids of the runs that a writer commits for these numbers."""
    return {f"{number % 256:02x}{number:010x}" for number in numbers}


def subjects(branch: ResultsBranch, path: str) -> list[str]:
    """Return the subjects of the commits that changed `path`, newest first."""
    log = ("--literal-pathspecs", "log", "--format=%s", branch.name, "--", path)
    return git(branch.repo.root, *log).split("\n")


def assert_sound(project: Path) -> None:
    assert git(project, "fsck", "--full", "--strict", "--no-dangling") == ""
