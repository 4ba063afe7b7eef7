"""A repository, the paths of its worktrees, and functions that look at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from tests.conftest import git

ODD = {
    "sp ace": "1",
    "line\nbreak": "2",
    "Grüße/naïve.txt": "3",
    "latin\udce9": "4",
    "-dash": "5",
    "deep/er/file": "6",
}


@pytest.fixture
def repo(project: Path) -> Repository:
    return Repository.discover(project)


@pytest.fixture
def tree(repo: Repository) -> Path:
    """Return the path for the worktree of a run."""
    return repo.workspace / "0123456789ab" / "tree"


@pytest.fixture
def following(repo: Repository) -> Path:
    """Return the path for the worktree of the next run."""
    return repo.workspace / "ba9876543210" / "tree"


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")


def contents(root: Path) -> dict[str, bytes]:
    """Return the bytes of every file below `root`, and the target of every symlink.

    `.git` is left out.
    """
    found: dict[str, bytes] = {}
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if ".git" in relative.parts:
            continue
        if path.is_symlink():
            found[str(relative)] = os.fsencode(path.readlink())
        elif path.is_file():
            found[str(relative)] = path.read_bytes()
    return found


def administrative(repo: Repository) -> list[str]:
    """Return the names of the administrative directories of all worktrees but the main one."""
    directory = repo.common_dir / "worktrees"
    return sorted(path.name for path in directory.glob("*"))
