"""The fast worktrees: what their shortcuts notice, and what survives kills and power cuts."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from gitorch.errors import ProgramMissing
from gitorch.git.repository import Repository
from gitorch.git.worktree import patch_size
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.contract import UNMODIFIED
from gitorch.git.worktree.worktrees import FastWorktrees
from tests.conftest import commit_files, git
from tests.git.conftest import ODD, administrative, contents, head
from tests.git.worktree.deeds import (
    TOUCHES,
    Deed,
    leave_untracked_files,
    spoil_same_size_and_time,
)
from tests.git.worktree.killing import kill_after

# Changes


def test_an_untouched_worktree_is_recognised_without_git(
    repo: Repository,
    fast: FastWorktrees,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pinned = commit_files(
        repo.root, {"code.py": "one\ntwo\n", "pack/age.py": "x = 1\n", **ODD}
    )
    fast.materialise(pinned, tree)
    # Older than the index: otherwise a change right after the index was written could not be seen.
    for name in contents(tree):
        os.utime(tree / name, (1, 1))
    assert fast.modified(tree, pinned) == UNMODIFIED
    (tree / "pack/__pycache__").mkdir()
    (tree / "pack/__pycache__/age.pyc").write_bytes(b"untracked")
    monkeypatch.setenv("PATH", "/nowhere")
    assert fast.modified(tree, pinned) == UNMODIFIED
    fast.reset(tree, pinned)
    spoil_same_size_and_time(tree)
    with pytest.raises(ProgramMissing):
        fast.modified(tree, pinned)


def test_large_changes_are_named_but_are_not_in_the_patch(
    repo: Repository,
    fast: FastWorktrees,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patch_size, "LARGEST_DIFF", 100)
    pinned = commit_files(repo.root, {"code.py": "one\n", "sp ace": "1"})
    fast.materialise(pinned, tree)
    (tree / "sp ace").write_bytes(b"x" * 101)
    (tree / "code.py").write_text("small")
    changes = fast.modified(tree, pinned)
    assert changes.files == ("code.py", "sp ace")
    assert changes.large == ("sp ace",)
    assert b"+small" in changes.diff
    assert b"xxx" not in changes.diff


def test_untracked_files_in_a_submodule_are_not_a_change(
    repo: Repository, fast: FastWorktrees, tree: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"science.py": "x = 1\n"})
    git(repo.root, "submodule", "add", "-q", str(library), "library")
    pinned = commit_files(repo.root, {})
    fast.materialise(pinned, tree)
    (tree / "library/__pycache__").mkdir()
    (tree / "library/__pycache__/science.pyc").write_bytes(b"untracked")
    assert fast.modified(tree, pinned) == UNMODIFIED
    (tree / "library/science.py").write_text("x = 2\n")
    assert fast.modified(tree, pinned).files == ("library",)


# Handing on


@pytest.fixture
def copied(repo: Repository, fast: FastWorktrees, tree: Path) -> str:
    """Make the third worktree of a commit: those that git itself makes are not handed on."""
    pinned = commit_files(repo.root, ODD)
    for path in (
        repo.workspace / "1" / "tree",
        repo.workspace / "2" / "tree",
        tree,
    ):
        fast.materialise(pinned, path)
    return pinned


def test_a_worktree_with_nothing_but_untracked_files_is_handed_on(
    repo: Repository, fast: FastWorktrees, tree: Path, following: Path, copied: str
) -> None:
    expected = contents(tree)
    leave_untracked_files(tree)
    assert fast.hand_on(tree, following, copied)

    assert contents(following) == expected
    assert (repo.root / "README.md").exists()
    assert not admin_directory(repo, tree).exists()
    listed = git(repo.root, "worktree", "list", "--porcelain")
    assert f"worktree {following}\nHEAD {copied}\ndetached\nlocked" in listed
    git(repo.root, "worktree", "prune")
    git(repo.root, "fsck", "--strict")
    assert fast.hand_on(following, tree, copied)
    assert contents(tree) == expected


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_worktree_that_a_run_touched_is_not_handed_on(
    fast: FastWorktrees, tree: Path, following: Path, copied: str, touch: Deed
) -> None:
    touch(tree)
    assert not fast.hand_on(tree, following, copied)
    assert not following.exists()


def test_a_worktree_with_submodules_is_not_handed_on(
    repo: Repository,
    fast: FastWorktrees,
    tree: Path,
    following: Path,
    tmp_path: Path,
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"code.py": "x = 1\n"})
    git(repo.root, "submodule", "add", "-q", str(library), "library")
    git(repo.root, "commit", "-qm", "submodule")
    fast.materialise(head(repo.root), tree)
    assert not fast.hand_on(tree, following, head(repo.root))


@pytest.mark.parametrize("step", ["renamed", "gitdir written", ".git written"])
def test_after_a_kill_within_the_handing_on_the_worktree_is_made_anew(
    repo: Repository,
    fast: FastWorktrees,
    tree: Path,
    following: Path,
    copied: str,
    step: str,
) -> None:
    expected = contents(tree)
    following.parent.mkdir(parents=True)
    tree.rename(following)
    if step != "renamed":
        (admin_directory(repo, tree) / "gitdir").write_text(f"{following}/.git\n")
    if step == ".git written":
        (following / ".git").write_text(
            f"gitdir: {admin_directory(repo, following)}\n"
        )
    fast.materialise(copied, following)

    assert contents(following) == expected
    assert git(following, "status", "--porcelain") == ""
    fast.empty_trash()
    assert not admin_directory(repo, tree).exists()


# Kills


MAKE_AND_DISCARD = """
for number in range(1000):
    worktrees.materialise(sys.argv[3], Path(sys.argv[2]))
    worktrees.discard(Path(sys.argv[2]))
"""


def test_after_a_kill_at_any_moment_the_worktree_is_made_whole(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    pinned = commit_files(
        repo.root, {f"directory{n % 7}/{n}": str(n) for n in range(200)}
    )
    expected = contents(repo.root)
    for delay in range(8):
        kill_after(delay * 0.006, MAKE_AND_DISCARD, repo.root, tree, pinned)
        fast.materialise(pinned, tree)
        assert contents(tree) == expected
        assert git(tree, "status", "--porcelain") == ""
        fast.discard(tree)
    fast.empty_trash()
    assert administrative(repo) == []


CHANGE_AND_RESET = """
path = Path(sys.argv[2])
for number in range(1000):
    (path / "0").write_text("changed")
    worktrees.reset(path, sys.argv[3 + number % 2])
"""


def test_after_a_kill_at_any_moment_a_reset_can_be_done_again(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    first = commit_files(repo.root, {f"{number}": "first" for number in range(100)})
    expected = contents(repo.root)
    git(repo.root, "rm", "-q", *(f"{number}" for number in range(1, 100, 2)))
    second = commit_files(
        repo.root, {f"{number}": "second" for number in range(0, 150, 2)}
    )
    fast.materialise(first, tree)
    for delay in range(8):
        kill_after(delay * 0.005, CHANGE_AND_RESET, repo.root, tree, second, first)
        fast.reset(tree, first)
        assert contents(tree) == expected
        assert git(tree, "status", "--porcelain") == ""
        assert head(tree) == first


# Several at once


def test_several_threads_make_one_worktree(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    pinned = commit_files(repo.root, {str(number): "x" for number in range(50)})
    failures: list[BaseException] = []

    def make() -> None:
        try:
            fast.materialise(pinned, tree)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert git(tree, "status", "--porcelain") == ""
    assert not list(
        repo.workspace.glob("trash/*")
    )  # no thread replaced the worktree of another


def test_gc_and_prune_at_the_same_time_do_no_harm(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    commits = [
        commit_files(repo.root, {"number": str(number)}) for number in range(6)
    ]
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            git(repo.root, "worktree", "prune", "--expire=now")
            git(repo.root, "gc", "-q", "--prune=now", check=False)

    disturbance = threading.Thread(target=disturb)
    disturbance.start()
    try:
        for number in range(18):
            fast.materialise(commits[number % 6], tree)
            assert git(tree, "status", "--porcelain") == ""
            assert (tree / "number").read_text() == str(number % 6)
            fast.discard(tree)
    finally:
        done.set()
        disturbance.join()
    assert administrative(repo) == []
    assert git(repo.root, "fsck", "--full") == ""


# Power cuts


def test_files_that_a_power_cut_may_have_emptied_are_written_again(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    pinned = commit_files(
        repo.root, {"code.py": "print(1)\n", "deep/more.py": "print(2)\n"}
    )
    fast.materialise(pinned, tree)
    before = contents(tree)
    (tree / "extra").write_text("by a run")
    admin = admin_directory(repo, tree)
    mark = json.loads((admin / "gitorch.json").read_text())
    (admin / "gitorch.json").write_text(json.dumps({**mark, "boot": "another"}))
    for name in ("HEAD", "commondir", "gitdir", "locked"):
        (admin / name).write_text("")
    for path in (tree / "code.py", tree / "deep/more.py"):
        state = path.stat()
        path.write_bytes(bytes(state.st_size))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

    fast.materialise(pinned, tree)
    assert contents(tree) != before, (
        "it may be the work of a person who checked the run out"
    )
    assert not is_of_this_boot(fast, tree)
    fast.reset(tree, pinned)
    assert is_of_this_boot(fast, tree)
    assert contents(tree) == {**before, "extra": b"by a run"}
    assert git(tree, "status", "--porcelain") == "?? extra"


def is_of_this_boot(fast: FastWorktrees, tree: Path) -> bool:
    state = fast.state(tree)
    assert state
    return state.is_of_this_boot


@pytest.mark.parametrize(
    "emptied",
    [("mark", "locked"), ("mark", "locked", ".git"), (".git", "all of it")],
)
def test_a_worktree_that_a_power_cut_left_half_made_is_made_anew(
    repo: Repository, fast: FastWorktrees, emptied: tuple[str, ...]
) -> None:
    tree = repo.workspace / "000000000000/tree"
    fast.materialise(head(repo.root), tree)
    before = contents(tree)
    admin = admin_directory(repo, tree)
    paths = {
        "mark": admin / "gitorch.json",
        "locked": admin / "locked",
        ".git": tree / ".git",
    }
    for name in paths.keys() & set(emptied):
        paths[name].write_text("")
    if "all of it" in emptied:
        shutil.rmtree(admin)
    fast.materialise(head(repo.root), tree)
    assert contents(tree) == before


def test_an_administrative_file_that_a_power_cut_emptied_is_repaired(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    pinned = head(repo.root)
    for emptied in ("gitorch.json", f"index.{pinned}", "index", "HEAD"):
        fast.materialise(pinned, tree)
        os.truncate(admin_directory(repo, tree) / emptied, 0)
        (tree / "README.md").write_text("")
        fast.materialise(pinned, tree)
        fast.reset(tree, pinned)
        assert contents(tree) == {"README.md": b"A project.\n"}
        assert (
            git(tree, "status", "--porcelain", "--branch") == "## HEAD (no branch)"
        )
