"""What a run did to its tracked files, and bringing them back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gitorch.errors import NotFound, ProgramMissing
from gitorch.git.repository import Repository
from gitorch.git.worktree import worktrees
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git
from tests.git.conftest import ODD, contents, head


@pytest.fixture
def made(repo: Repository, tree: Path) -> str:
    """A worktree at `tree`, its files a while older than its index; gives its commit."""
    files = {
        "code.py": "one\ntwo\n",
        "pack/age.py": "x = 1\n",
        "pack/data": b"\0\1\2",
        "run.sh": "true\n",
        **ODD,
    }
    pinned = commit_files(repo.root, files)
    FastWorktrees(repo).materialise(pinned, tree)
    return pinned


def test_an_untouched_tree_is_known_without_git(
    repo: Repository, tree: Path, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in contents(
        tree
    ):  # older than the index: else a change right after it was written could not be seen
        os.utime(tree / name, (1, 1))
    assert FastWorktrees(repo).modified(tree, made) == UNMODIFIED
    (tree / "pack/__pycache__").mkdir()
    (tree / "pack/__pycache__/age.pyc").write_bytes(b"untracked")
    monkeypatch.setenv("PATH", "/nowhere")
    assert FastWorktrees(repo).modified(tree, made) == UNMODIFIED
    FastWorktrees(repo).reset(tree, made)
    spoil_same_size_and_time(tree)
    with pytest.raises(ProgramMissing):
        FastWorktrees(repo).modified(tree, made)


def spoil_content(tree: Path) -> None:
    (tree / "code.py").write_text("one\n2\n")


def spoil_same_size_and_time(tree: Path) -> None:
    before = (tree / "code.py").stat()
    (tree / "code.py").write_text("one\nTWO\n")
    os.utime(tree / "code.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def spoil_mode(tree: Path) -> None:
    (tree / "run.sh").chmod(0o755)


def remove(tree: Path) -> None:
    (tree / "line\nbreak").unlink()


def file_for_directory(tree: Path) -> None:
    subprocess.run(["rm", "-r", tree / "pack"], check=True)
    (tree / "pack").write_text("now a file")


def directory_for_file(tree: Path) -> None:
    (tree / "code.py").unlink()
    (tree / "code.py").mkdir()
    (tree / "code.py/inside").write_text("x")


def link_for_file(tree: Path) -> None:
    (tree / "code.py").rename(tree / "elsewhere")
    (tree / "code.py").symlink_to("elsewhere")


def link_for_directory(tree: Path) -> None:
    (tree / "pack").rename(tree.parent / "moved")
    (tree / "pack").symlink_to(tree.parent / "moved")


def hide_in_the_index(tree: Path) -> None:
    git(tree, "update-index", "--skip-worktree", "code.py")
    git(tree, "update-index", "--assume-unchanged", "pack/age.py")
    (tree / "code.py").write_text("hidden")
    (tree / "pack/age.py").write_text("hidden too")


def forget_in_the_index(tree: Path) -> None:
    git(tree, "rm", "-rq", "--cached", ".")
    (tree / "code.py").write_text("forgotten")


def commit_it(tree: Path) -> None:
    commit_files(tree, {"code.py": "committed"})


def commit_on_a_branch(tree: Path) -> None:
    git(tree, "switch", "-qc", "mine")
    commit_files(tree, {"code.py": "committed"})


def stop_in_a_merge(tree: Path) -> None:
    git(tree, "switch", "-qc", "left")
    commit_files(tree, {"code.py": "left"})
    git(tree, "switch", "-q", "--detach", "HEAD~")
    commit_files(tree, {"code.py": "right"})
    git(tree, "merge", "-q", "left", check=False)


def leave_a_lock(tree: Path) -> None:
    (tree / "code.py").write_text("changed")
    Path(git(tree, "rev-parse", "--absolute-git-dir"), "index.lock").touch()


def break_the_index(tree: Path) -> None:
    (tree / "code.py").write_text("changed")
    Path(git(tree, "rev-parse", "--absolute-git-dir"), "index").write_bytes(b"DIRC")


DEEDS = {
    spoil_content: {"code.py"},
    spoil_same_size_and_time: {"code.py"},
    spoil_mode: {"run.sh"},
    remove: {"line\nbreak"},
    file_for_directory: {"pack/age.py", "pack/data"},
    directory_for_file: {"code.py"},
    link_for_file: {"code.py"},
    link_for_directory: {"pack/age.py", "pack/data"},
    hide_in_the_index: {"code.py", "pack/age.py"},
    forget_in_the_index: {"code.py"},
    commit_it: {"code.py"},
    commit_on_a_branch: {"code.py"},
    stop_in_a_merge: {"code.py"},
    leave_a_lock: {"code.py"},
    break_the_index: {"code.py"},
}


@pytest.mark.parametrize(("deed", "files"), DEEDS.items(), ids=[deed.__name__ for deed in DEEDS])
def test_what_a_run_changed_is_found_kept_and_undone(
    repo: Repository,
    tree: Path,
    made: str,
    deed: Callable[[Path], None],
    files: set[str],
    tmp_path: Path,
) -> None:
    expected = contents(tree)
    (tree / "checkpoint").write_text("untracked")
    deed(tree)
    spoilt = contents(tree)

    changes = FastWorktrees(repo).modified(tree, made)
    assert set(changes.files) == files
    again = tmp_path / "again"
    FastWorktrees(repo).materialise(made, again)
    subprocess.run(["git", "apply", "-"], input=changes.diff, cwd=again, check=True)
    after = contents(again)
    assert {name: after.get(name) for name in files} == {name: spoilt.get(name) for name in files}

    branches = git(repo.root, "for-each-ref", "refs/heads")
    FastWorktrees(repo).reset(tree, made)
    restored = contents(tree)
    assert {name: restored[name] for name in expected} == expected
    assert restored["checkpoint"] == b"untracked"
    assert not os.access(tree / "run.sh", os.X_OK)
    assert head(tree) == made
    assert git(tree, "diff", "HEAD") == ""
    assert {line[0] for line in git(tree, "ls-files", "-v").split("\n")} == {"H"}
    assert git(repo.root, "for-each-ref", "refs/heads") == branches
    assert FastWorktrees(repo).modified(tree, made).files == ()


def test_bits_that_hide_changes_go_even_where_nothing_changed(
    repo: Repository, tree: Path, made: str
) -> None:
    git(tree, "update-index", "--skip-worktree", "code.py")
    FastWorktrees(repo).reset(tree, made)
    (tree / "code.py").write_text("changed")
    assert git(tree, "status", "--porcelain") == " M code.py"


def test_large_changes_are_named_but_not_in_the_patch(
    repo: Repository, tree: Path, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worktrees, "LARGEST_DIFF", 100)
    (tree / "sp ace").write_bytes(b"x" * 101)
    (tree / "code.py").write_text("small")
    changes = FastWorktrees(repo).modified(tree, made)
    assert changes.files == ("code.py", "sp ace")
    assert changes.large == ("sp ace",)
    assert b"+small" in changes.diff
    assert b"xxx" not in changes.diff


def test_settings_for_diffs_do_not_reach_the_patch(repo: Repository, tree: Path, made: str) -> None:
    for name, value in {
        "diff.noprefix": "true",
        "diff.external": "false",
        "color.ui": "always",
    }.items():
        git(repo.root, "config", name, value)
    git(repo.root, "config", "diff.odd.textconv", "false")
    (tree / "code.py").write_text("one\n2\n")
    assert (
        FastWorktrees(repo).modified(tree, made).diff.split(b"\n", 2)[0]
        == b"diff --git a/code.py b/code.py"
    )


def test_a_worktree_moves_to_another_commit(repo: Repository, tree: Path, made: str) -> None:
    git(repo.root, "rm", "-q", "pack/age.py")
    later = commit_files(repo.root, {"code.py": "mended", "new.py": "new"})
    expected = contents(repo.root)
    (tree / "run.sh").write_text("changed")
    (tree / "new.py").write_text("in the way")
    (tree / "checkpoint").write_text("untracked")
    FastWorktrees(repo).materialise(later, tree)
    assert contents(tree) == {**expected, "checkpoint": b"untracked"}
    assert head(tree) == later
    FastWorktrees(repo).reset(tree, made)
    assert (tree / "pack/age.py").exists()
    assert not (tree / "new.py").exists()
    assert git(tree, "status", "--porcelain") == "?? checkpoint"


def test_resetting_what_is_not_there_is_refused(repo: Repository, tree: Path) -> None:
    with pytest.raises(NotFound, match="is not a worktree"):
        FastWorktrees(repo).reset(tree, head(repo.root))


def test_what_is_untracked_in_a_submodule_is_no_change(
    repo: Repository, tree: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"science.py": "x = 1\n"})
    git(repo.root, "submodule", "add", "-q", str(library), "library")
    pinned = commit_files(repo.root, {})
    FastWorktrees(repo).materialise(pinned, tree)
    (tree / "library/__pycache__").mkdir()
    (tree / "library/__pycache__/science.pyc").write_bytes(b"untracked")
    assert FastWorktrees(repo).modified(tree, pinned) == UNMODIFIED
    (tree / "library/science.py").write_text("x = 2\n")
    assert FastWorktrees(repo).modified(tree, pinned).files == ("library",)
