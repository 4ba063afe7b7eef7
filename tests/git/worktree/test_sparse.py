"""Worktrees of some directories: git's cone mode, without a change to the user's configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.sparse import write_patterns
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git

SPARSE = ("a/b", "c [1]")


@pytest.fixture
def pinned(project: Path) -> str:
    return commit_files(
        project,
        {
            "a/b/x": "1",
            "a/z": "",
            "a/y/z": "",
            "c [1]/x": "",
            "c 1/x": "",
            "d/x": "",
        },
    )


def files(tree: Path) -> list[str]:
    found = [
        str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()
    ]
    return sorted(set(found) - {".git"})


EXPECTED = ["README.md", "a/b/x", "a/z", "c [1]/x"]


def test_the_patterns_are_those_of_git(project: Path, pinned: str) -> None:
    git(project, "sparse-checkout", "set", "--skip-checks", *SPARSE)
    of_git = (project / ".git/info/sparse-checkout").read_text()
    write_patterns(project / ".git", SPARSE)
    assert (project / ".git/info/sparse-checkout").read_text() == of_git


@pytest.mark.parametrize("is_of_user", [False, True])
def test_the_cone_survives_resets_and_lost_indexes(
    project: Path, tmp_path: Path, pinned: str, is_of_user: bool
) -> None:
    if is_of_user:
        git(project, "sparse-checkout", "set", "--cone", "d")
    repo = Repository.discover(project)
    fast = FastWorktrees(repo)
    whole, tree = repo.workspace / "1/tree", repo.workspace / "2/tree"
    config = (project / ".git/config").read_bytes()
    for _ in range(2):  # the second makes a template
        fast.materialise(pinned, whole)
        fast.discard(whole)
    fast.materialise(pinned, tree, sparse=SPARSE)
    assert files(tree) == EXPECTED
    assert fast.modified(tree, pinned) == UNMODIFIED
    (tree / "a/b/x").write_text("2")
    assert fast.modified(tree, pinned).files == ("a/b/x",)
    admin = admin_directory(repo, tree)
    (admin / f"index.{pinned}").unlink()
    assert fast.modified(tree, pinned).files == ("a/b/x",)
    (admin / "info/sparse-checkout").write_text("/d/\n")
    fast.reset(tree, pinned)
    assert files(tree) == EXPECTED
    assert (tree / "a/b/x").read_text() == "1"
    mark = json.loads((admin / "gitorch.json").read_text())
    (admin / "gitorch.json").write_text(json.dumps({**mark, "boot": "another"}))
    fast.reset(tree, pinned)
    assert files(tree) == EXPECTED
    assert git(tree, "status", "--porcelain") == ""
    later = commit_files(project, {"a/b/new": ""}) if not is_of_user else pinned
    fast.materialise(later, tree, sparse=SPARSE)
    assert "d/x" not in files(tree)
    assert not fast.hand_on(tree, repo.workspace / "3/tree", later)
    assert (project / ".git/config").read_bytes() == config
