"""The worktree of a finished run becomes the next one's, if it is none the worse for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git
from tests.git.conftest import ODD, contents, head


@pytest.fixture
def following(repo: Repository) -> Path:
    """Where the worktree of the next run goes."""
    return repo.workspace / "ba9876543210" / "tree"


@pytest.fixture
def commit(repo: Repository, tree: Path) -> str:
    """What `tree` is a worktree at: the third of its commit, for those that git itself makes are not handed on."""
    pinned = commit_files(repo.root, ODD)
    for path in (repo.workspace / "1" / "tree", repo.workspace / "2" / "tree", tree):
        FastWorktrees(repo).materialise(pinned, path)
    return pinned


def test_it_is_as_good_as_a_new_one(
    repo: Repository, tree: Path, following: Path, commit: str
) -> None:
    expected = contents(tree)
    assert FastWorktrees(repo).hand_on(tree, following, commit)

    assert FastWorktrees(repo).is_present(following)
    assert not tree.exists()
    assert not admin_directory(repo, tree).exists()
    assert contents(following) == expected
    assert git(following, "status", "--porcelain", "--ignored") == ""
    assert head(following) == commit
    assert FastWorktrees(repo).modified(following, commit) == UNMODIFIED
    assert f"worktree {following}\nHEAD {commit}\ndetached\nlocked" in git(
        repo.root, "worktree", "list", "--porcelain"
    )
    git(repo.root, "worktree", "prune")
    git(repo.root, "fsck", "--strict")
    assert FastWorktrees(repo).hand_on(following, tree, commit)


def test_what_a_run_left_untracked_is_gone(
    repo: Repository, tree: Path, following: Path, commit: str
) -> None:
    expected = contents(tree)
    (tree / ".gitignore").write_text("*\n")
    (tree / "deep/__pycache__").mkdir()
    (tree / "deep/__pycache__/a.pyc").write_bytes(b"cache")
    (tree / "deep/er/link").symlink_to(repo.root)
    git(tree, "status")  # writes an index of its own
    assert FastWorktrees(repo).hand_on(tree, following, commit)

    assert contents(following) == expected
    assert (repo.root / "README.md").exists()
    assert git(following, "status", "--porcelain", "--ignored") == ""


def changed(tree: Path) -> None:
    (tree / "sp ace").write_text("2")


def same_bytes_again(tree: Path) -> None:
    (tree / "sp ace").write_text("1")


def linked_elsewhere(tree: Path) -> None:
    os.link(tree / "sp ace", tree.parent / "mine")


def executable(tree: Path) -> None:
    (tree / "sp ace").chmod(0o755)


def closed(tree: Path) -> None:
    (tree / "deep").chmod(0o700)


def removed(tree: Path) -> None:
    (tree / "sp ace").unlink()


def on_a_branch(tree: Path) -> None:
    git(tree, "switch", "-qc", "mine")


def in_a_bisection(tree: Path) -> None:
    git(tree, "bisect", "start")


def foreign(tree: Path) -> None:
    (tree / ".git").unlink()
    git(tree, "init", "-q")


def gone(tree: Path) -> None:
    subprocess.run(["rm", "-r", tree], check=True)


@pytest.mark.parametrize(
    "touch",
    [
        changed,
        same_bytes_again,
        linked_elsewhere,
        executable,
        closed,
        removed,
        on_a_branch,
        in_a_bisection,
        foreign,
        gone,
    ],
)
def test_what_a_run_touched_is_not_handed_on(
    repo: Repository, tree: Path, following: Path, commit: str, touch: Callable[[Path], None]
) -> None:
    touch(tree)
    assert not FastWorktrees(repo).hand_on(tree, following, commit)
    assert not following.exists()


def test_nor_is_another_commit_or_to_where_something_is(
    repo: Repository, tree: Path, following: Path, commit: str
) -> None:
    assert not FastWorktrees(repo).hand_on(tree, following, git(repo.root, "rev-parse", "HEAD~1"))
    FastWorktrees(repo).materialise(commit, following)
    assert not FastWorktrees(repo).hand_on(tree, following, commit)
    assert FastWorktrees(repo).is_present(tree)


def test_nor_are_submodules(repo: Repository, tree: Path, following: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"code.py": "x = 1\n"})
    git(repo.root, "submodule", "add", "-q", str(library), "library")
    git(repo.root, "commit", "-qm", "submodule")
    FastWorktrees(repo).materialise(head(repo.root), tree)
    assert not FastWorktrees(repo).hand_on(tree, following, head(repo.root))


@pytest.mark.parametrize("step", ["renamed", "told", "pointed"])
def test_killed_in_between_the_worktree_is_made_anew(
    repo: Repository, tree: Path, following: Path, commit: str, step: str
) -> None:
    expected = contents(tree)
    following.parent.mkdir(parents=True)
    tree.rename(following)
    if step != "renamed":
        (admin_directory(repo, tree) / "gitdir").write_text(f"{following}/.git\n")
    if step == "pointed":
        (following / ".git").write_text(f"gitdir: {admin_directory(repo, following)}\n")
    FastWorktrees(repo).materialise(commit, following)

    assert contents(following) == expected
    assert git(following, "status", "--porcelain") == ""
    FastWorktrees(repo).empty_trash()
    assert not admin_directory(repo, tree).exists()
