"""A repository, the place of a run's worktree, and what can be seen there."""

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
    """Where the worktree of a run goes."""
    return repo.workspace / "0123456789ab" / "tree"


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root`, git's own aside, with its bytes; a symlink with where it leads."""
    return {
        str(path.relative_to(root)): os.fsencode(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in root.rglob("*")
        if (path.is_symlink() or path.is_file()) and ".git" not in path.relative_to(root).parts
    }


def administrative(repo: Repository) -> list[str]:
    directory = repo.common_dir / "worktrees"
    return sorted(path.name for path in directory.glob("*"))
