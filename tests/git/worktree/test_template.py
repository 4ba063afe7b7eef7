"""Worktrees that are copied from a template: they are the same as those that git makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitorch.git.command import GitFailed
from gitorch.git.repository import Repository
from gitorch.git.worktree import template
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git

FILES = {
    ".gitattributes": "*.loud filter=shout\n*.bat eol=crlf\n",
    "a.loud": "hush\n",
    "b.bat": "x\ny\n",
    "big": os.urandom(3 << 20),
    "deep/er/est": "1",
    "deep/er.x": "2",
    "empty": "",
    "Grüße/naïve.txt": "3",
    "latin\udce9": "4",
    "line\nbreak": "5",
    "sp ace/-dash": "6",
}


@pytest.fixture
def repo(project: Path) -> Repository:
    git(project, "config", "filter.shout.smudge", "tr a-z A-Z")
    git(project, "config", "filter.shout.clean", "tr A-Z a-z")
    return Repository.discover(project)


@pytest.fixture
def pinned(repo: Repository) -> str:
    (repo.root / "link").symlink_to("deep/er")
    (repo.root / "dangling").symlink_to("nowhere at all")
    (repo.root / "program").write_text("#!/bin/sh\n")
    (repo.root / "program").chmod(0o755)
    return commit_files(repo.root, FILES)


def tree_of_run(repo: Repository, number: int) -> Path:
    return repo.workspace / f"run{number}" / "tree"


def materialise_two(repo: Repository, commit: str) -> None:
    """Make two worktrees: from the second one a template is taken."""
    for number in (1, 2):
        FastWorktrees(repo).materialise(commit, tree_of_run(repo, number))


def is_copy(repo: Repository, tree: Path) -> bool:
    """Return True if git did not make the worktree: git writes a reflog of HEAD."""
    return not (admin_directory(repo, tree) / "logs").exists()


def state(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and content of everything in a worktree, except its `.git`."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(root))] = (path.lstat().st_mode, content)
    del found[".git"]
    return found


@pytest.fixture
def copied(repo: Repository, pinned: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a third worktree of the commit, without starting git once."""
    materialise_two(repo, pinned)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        FastWorktrees(repo).materialise(pinned, tree_of_run(repo, 3))
    return tree_of_run(repo, 3)


def test_a_copy_is_what_git_would_have_made(
    repo: Repository, pinned: str, copied: Path
) -> None:
    assert state(copied) == state(tree_of_run(repo, 1))
    assert state(copied)["a.loud"][1] == b"HUSH\n"
    assert state(copied)["b.bat"][1] == b"x\r\ny\r\n"

    def written(tree: Path) -> dict[str, bytes]:
        names = ("HEAD", "commondir", "locked")
        return {
            name: (admin_directory(repo, tree) / name).read_bytes()
            for name in names
        }

    assert written(copied) == written(tree_of_run(repo, 1))
    assert (
        copied / ".git"
    ).read_text() == f"gitdir: {admin_directory(repo, copied)}\n"


def test_git_finds_a_copy_clean_and_reads_no_file(
    repo: Repository, pinned: str, copied: Path
) -> None:
    # `diff-files` trusts stat data alone: it prints the files that git would read.
    assert git(copied, "diff-files", "--raw") == ""
    assert git(copied, "status", "--porcelain") == ""
    git(copied, "update-index", "--really-refresh")
    assert git(copied, "status", "--porcelain") == ""
    assert git(copied, "write-tree") == git(
        repo.root, "rev-parse", f"{pinned}^{{tree}}"
    )
    assert git(copied, "fsck", "--full", "--strict") == ""
    (copied / "deep/er.x").write_text("X")
    assert git(copied, "status", "--porcelain") == " M deep/er.x"
    assert FastWorktrees(repo).modified(copied, pinned).files == ("deep/er.x",)
    FastWorktrees(repo).reset(copied, pinned)
    assert state(copied) == state(tree_of_run(repo, 1))


def test_an_untouched_copy_is_recognised_without_git(
    repo: Repository, pinned: str, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert FastWorktrees(repo).modified(copied, pinned) == UNMODIFIED
    FastWorktrees(repo).reset(copied, pinned)


def test_git_treats_a_copy_like_any_worktree(
    repo: Repository, pinned: str, copied: Path, tmp_path: Path
) -> None:
    directory = admin_directory(repo, copied)
    listed = git(repo.root, "worktree", "list", "--porcelain")
    assert f"worktree {copied}\nHEAD {pinned}\ndetached\nlocked gitorch" in listed
    git(repo.root, "worktree", "prune", "--expire=now")
    git(repo.root, "worktree", "unlock", str(copied))
    git(repo.root, "worktree", "lock", str(copied))
    git(repo.root, "worktree", "unlock", str(copied))
    git(repo.root, "worktree", "prune", "--expire=now")
    moved = tmp_path / "moved"
    git(repo.root, "worktree", "move", str(copied), str(moved))
    assert git(moved, "status", "--porcelain") == ""
    by_hand = moved.rename(tmp_path / "moved by hand")
    git(repo.root, "worktree", "repair", str(by_hand))
    assert git(repo.root, "worktree", "list").count("moved by hand") == 1
    git(by_hand, "switch", "-qc", "work")
    commit_files(by_hand, {"new": "x"})
    git(repo.root, "worktree", "remove", str(by_hand))
    assert not directory.exists()
    assert git(repo.root, "show", "work:new") == "x"


def test_gc_keeps_what_only_a_copy_refers_to(
    repo: Repository, pinned: str, copied: Path
) -> None:
    git(copied, "commit", "-q", "--allow-empty", "-m", "of the run")
    (copied / "staged").write_text("only in the index")
    git(copied, "add", "staged")
    git(repo.root, "reset", "-q", "--hard", f"{pinned}~")
    for number in (1, 2):
        FastWorktrees(repo).discard(tree_of_run(repo, number))
    git(repo.root, "reflog", "expire", "--expire=now", "--all")
    git(repo.root, "gc", "-q", "--prune=now")
    assert git(copied, "log", "-1", "--format=%s") == "of the run"
    assert git(copied, "show", ":staged") == "only in the index"
    assert git(copied, "show", "HEAD:deep/er/est") == "1"


def test_a_run_in_one_worktree_does_not_reach_another(
    repo: Repository, pinned: str, copied: Path
) -> None:
    expected = state(copied)
    with (tree_of_run(repo, 2) / "deep/er/est").open("r+") as file:
        file.write("written in place")
    assert state(copied) == expected
    FastWorktrees(repo).materialise(pinned, tree_of_run(repo, 4))
    assert state(tree_of_run(repo, 4)) == expected


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("damage", [truncate, empty, flip])
def test_a_damaged_template_is_never_used(
    repo: Repository, pinned: str, copied: Path, damage: Callable[[Path], None]
) -> None:
    stored = repo.workspace / "templates" / pinned
    damage(stored)
    FastWorktrees(repo).materialise(pinned, tree_of_run(repo, 4))
    assert not is_copy(repo, tree_of_run(repo, 4))
    FastWorktrees(repo).materialise(pinned, tree_of_run(repo, 5))
    assert is_copy(repo, tree_of_run(repo, 5))
    assert (
        state(tree_of_run(repo, 5)) == state(tree_of_run(repo, 4)) == state(copied)
    )


def change_a_setting(repo: Repository) -> None:
    git(repo.root, "config", "core.autocrlf", "true")


def change_a_filter(repo: Repository) -> None:
    git(repo.root, "config", "filter.shout.smudge", "rev")


def change_the_attributes(repo: Repository) -> None:
    (repo.common_dir / "info").mkdir(exist_ok=True)
    (repo.common_dir / "info/attributes").write_text("* -filter\n")


@pytest.mark.parametrize(
    "change", [change_a_setting, change_a_filter, change_the_attributes]
)
def test_after_a_change_of_settings_a_new_template_is_made(
    repo: Repository,
    pinned: str,
    copied: Path,
    change: Callable[[Repository], None],
) -> None:
    change(repo)
    later = Repository.discover(repo.root)
    for number in (4, 5):
        FastWorktrees(later).materialise(pinned, tree_of_run(repo, number))
    assert not is_copy(repo, tree_of_run(repo, 4))
    assert is_copy(repo, tree_of_run(repo, 5))
    assert (
        state(tree_of_run(repo, 5)) == state(tree_of_run(repo, 4)) != state(copied)
    )


def test_a_single_worktree_of_a_commit_makes_no_template(
    repo: Repository, pinned: str
) -> None:
    FastWorktrees(repo).materialise(pinned, tree_of_run(repo, 1))
    assert [path.name for path in (repo.workspace / "templates").iterdir()] == [
        f"{pinned}.seen"
    ]


def test_only_the_newest_templates_are_kept(repo: Repository) -> None:
    git(repo.root, "config", "gitorch.templates", "2")
    repo = Repository.discover(repo.root)
    commits = [
        commit_files(repo.root, {"number": str(number)}) for number in range(4)
    ]
    for commit in commits:
        for number in (1, 2):
            FastWorktrees(repo).materialise(
                commit, tree_of_run(repo, number) / commit
            )
    kept = {
        path.name
        for path in (repo.workspace / "templates").iterdir()
        if path.suffix != ".seen"
    }
    assert kept == set(commits[2:])


def test_worktrees_that_cannot_be_copied_are_left_to_git(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = commit_files(repo.root, {"in/a": "1", "out/b": "2"})
    git(repo.root, "sparse-checkout", "set", "in")
    sparse = Repository.discover(repo.root)
    (tmp_path / "library").mkdir()
    git(tmp_path / "library", "init", "-q")
    commit_files(tmp_path / "library", {"x": "y"})
    for number in (1, 2, 3):
        FastWorktrees(sparse).materialise(pinned, tree_of_run(repo, number))
        assert not is_copy(repo, tree_of_run(repo, number))
    git(repo.root, "sparse-checkout", "disable")
    git(repo.root, "config", "--unset", "extensions.worktreeConfig")
    git(repo.root, "submodule", "add", "-q", str(tmp_path / "library"), "library")
    git(repo.root, "commit", "-qm", "a submodule")
    later = Repository.discover(repo.root)
    for number in (4, 5, 6):
        FastWorktrees(later).materialise(
            git(repo.root, "rev-parse", "HEAD"), tree_of_run(repo, number)
        )
        assert (tree_of_run(repo, number) / "library/x").read_text() == "y"
    monkeypatch.setattr(template, "_LARGEST", 1)
    large = commit_files(repo.root, {"large": "xx"})
    for number in (7, 8, 9):
        FastWorktrees(later).materialise(large, tree_of_run(repo, number))
        assert not is_copy(repo, tree_of_run(repo, number))


def test_without_room_for_a_copy_git_reports_it(
    repo: Repository, pinned: str, copied: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", small], check=False
    ).returncode:
        pytest.skip("mounting a small file system needs to be root")
    try:
        with pytest.raises(GitFailed, match=r"No space left|unable to write"):
            FastWorktrees(repo).materialise(pinned, small / "run" / "tree")
        assert not (small / "run" / "tree").exists()
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert len(git(repo.root, "worktree", "list").split("\n")) == 4
