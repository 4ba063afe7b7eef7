"""Worktrees whose files are gone: which of them are forgotten, and which are not."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.trash import move_to_trash
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import git
from tests.git.conftest import administrative, head


def test_files_wait_in_the_trash_until_it_is_emptied(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    fast.materialise(head(repo.root), tree)
    fast.discard(tree)
    (waiting,) = (repo.workspace / "trash").iterdir()
    assert (waiting / "README.md").exists()
    move_to_trash(repo, tree.parent)
    move_to_trash(repo, tree.parent)  # nothing is there, so there is nothing to do
    fast.empty_trash()
    assert not list((repo.workspace / "trash").iterdir())


def test_worktrees_of_the_workspace_without_files_are_forgotten_and_others_are_not(
    repo: Repository, fast: FastWorktrees, tree: Path, tmp_path: Path
) -> None:
    other = tree.with_name("other")
    for path in (tree, other):
        fast.materialise(head(repo.root), path)
    git(
        repo.root,
        "worktree",
        "add",
        "-q",
        "--lock",
        "--reason",
        "gitorch",
        str(tmp_path / "own"),
    )
    (repo.workspace / "trash").mkdir(exist_ok=True)
    subprocess.run(["rm", "-r", tree], check=True)
    (tmp_path / "own").rename(tmp_path / "unmounted")
    fast.empty_trash()
    assert administrative(repo) == sorted(
        [admin_directory(repo, other).name, "own"]
    )
    assert git(other, "status", "--porcelain") == ""


def test_a_workspace_that_is_not_mounted_loses_nothing(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    fast.materialise(head(repo.root), tree)
    away = repo.workspace.rename(repo.workspace.with_name("away"))
    repo.workspace.mkdir()  # the mount point
    git(repo.root, "worktree", "prune")
    fast.empty_trash()
    repo.workspace.rmdir()
    away.rename(repo.workspace)
    assert fast.is_present(tree)
    assert git(tree, "status", "--porcelain") == ""
