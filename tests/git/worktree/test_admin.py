"""Worktrees after crashes, moves and meddling."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.tools.locks import only_one_at
from tests.conftest import commit_files, git
from tests.git.conftest import administrative, contents, head


def test_a_worktree_without_its_mark_is_made_anew(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    FastWorktrees(repo).materialise(pinned, tree)
    (admin_directory(repo, tree) / "gitorch.json").unlink()
    (tree / "README.md").unlink()
    assert not FastWorktrees(repo).is_present(tree)
    FastWorktrees(repo).materialise(pinned, tree)
    assert contents(tree) == {"README.md": b"A project.\n"}
    assert administrative(repo) == [admin_directory(repo, tree).name]


def test_a_power_cut_that_left_files_empty_is_mended(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    for emptied in ("gitorch.json", f"index.{pinned}", "index", "HEAD"):
        FastWorktrees(repo).materialise(pinned, tree)
        os.truncate(admin_directory(repo, tree) / emptied, 0)
        (tree / "README.md").write_text("")
        FastWorktrees(repo).materialise(pinned, tree)
        FastWorktrees(repo).reset(tree, pinned)
        assert contents(tree) == {"README.md": b"A project.\n"}
        assert git(tree, "status", "--porcelain", "--branch") == "## HEAD (no branch)"


def test_what_a_killed_git_left_is_replaced(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    for left in ("nothing but the lock", "an empty directory", "an empty .git", "half a tree"):
        stale = repo.common_dir / "worktrees" / "tree"
        if left in ("nothing but the lock", "half a tree"):
            git(
                repo.root,
                "worktree",
                "add",
                "-q",
                "--detach",
                "--lock",
                "--reason",
                "gitorch",
                str(tree),
                pinned,
            )
            (tree / "README.md").unlink()
        if left == "nothing but the lock":
            subprocess.run(["rm", "-r", tree], check=True)
        if left in ("an empty directory", "an empty .git"):
            tree.mkdir(parents=True)
        if left == "an empty .git":
            (tree / ".git").touch()
        FastWorktrees(repo).materialise(pinned, tree)
        assert contents(tree) == {"README.md": b"A project.\n"}
        FastWorktrees(repo).discard(tree)
        FastWorktrees(repo).empty_trash()
        assert not stale.exists(), left


KILLED = """
import sys
from pathlib import Path
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.git.repository import Repository
repo = Repository.discover(Path(sys.argv[1]))
print("started", flush=True)
for number in range(1000):
    FastWorktrees(repo).materialise(sys.argv[2], Path(sys.argv[3]))
    FastWorktrees(repo).discard(Path(sys.argv[3]))
"""


def test_killed_at_any_moment_the_next_one_makes_it_whole(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {f"directory{n % 7}/{n}": str(n) for n in range(200)})
    expected = contents(repo.root)
    for delay in range(8):
        command = [sys.executable, "-c", KILLED, str(repo.root), pinned, str(tree)]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(delay * 0.006)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        FastWorktrees(repo).materialise(pinned, tree)
        assert contents(tree) == expected
        assert git(tree, "status", "--porcelain") == ""
        FastWorktrees(repo).discard(tree)
    FastWorktrees(repo).empty_trash()
    assert administrative(repo) == []


def test_a_git_left_behind_by_a_kill_is_waited_for(
    repo: Repository, tree: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    git(repo.root, "config", "filter.slow.smudge", f"cat {gate}; cat")
    pinned = commit_files(repo.root, {".gitattributes": "slow filter=slow\n", "slow": "x"})
    command = [sys.executable, "-c", KILLED, str(repo.root), pinned, str(tree)]
    victim = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with gate.open("wb"):  # opened once git has come to the file
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        with pytest.raises(BlockingIOError):
            fcntl.flock(os.open(tree.parent, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    git(repo.root, "config", "filter.slow.smudge", "cat")
    FastWorktrees(repo).materialise(pinned, tree)
    assert git(tree, "status", "--porcelain") == ""


def test_a_lock_on_a_directory_that_was_removed_locks_nothing(repo: Repository, tree: Path) -> None:
    with only_one_at(tree):
        waiting = threading.Thread(
            target=FastWorktrees(repo).materialise, args=(head(repo.root), tree)
        )
        waiting.start()
        assert waiting.is_alive()
        tree.parent.rmdir()
    waiting.join()
    assert FastWorktrees(repo).is_present(tree)


def test_several_at_once_make_one(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {str(number): "x" for number in range(50)})
    failures: list[BaseException] = []

    def make() -> None:
        try:
            FastWorktrees(repo).materialise(pinned, tree)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert git(tree, "status", "--porcelain") == ""
    assert not list(repo.workspace.glob("trash/*"))  # nobody replaced another's


@pytest.mark.parametrize("moved", ["repository", "workspace", "both"])
def test_after_a_move_worktrees_and_repository_find_each_other(
    repo: Repository, tree: Path, tmp_path: Path, moved: str
) -> None:
    pinned = head(repo.root)
    FastWorktrees(repo).materialise(pinned, tree)
    (tree / "checkpoint").write_text("kept")
    (tmp_path / "new").mkdir()
    root, there = repo.root, tree
    if moved in ("repository", "both"):
        root = repo.root.rename(tmp_path / "new" / "project")
    if moved in ("workspace", "both"):
        there = repo.workspace.rename(tmp_path / "new" / "project.gitorch") / tree.relative_to(
            repo.workspace
        )
    now = Repository.discover(root)
    assert not FastWorktrees(now).is_present(there)
    FastWorktrees(now).materialise(pinned, there)
    assert (there / "checkpoint").read_text() == "kept"
    assert git(there, "status", "--porcelain") == "?? checkpoint"
    assert administrative(now) == [admin_directory(now, there).name]
    assert f"worktree {there}\n" in git(root, "worktree", "list", "--porcelain")


def test_a_run_that_removed_its_git_file_gets_a_new_worktree(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    FastWorktrees(repo).materialise(pinned, tree)
    (tree / ".git").unlink()
    FastWorktrees(repo).materialise(pinned, tree)
    assert git(tree, "status", "--porcelain") == ""


MOVED = """
import sys
from pathlib import Path
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.git.repository import Repository
repo, path, commits = Repository.discover(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
print("started", flush=True)
for number in range(1000):
    (path / "0").write_text("changed")
    FastWorktrees(repo).reset(path, commits[number % 2])
"""


def test_a_reset_killed_at_any_moment_can_be_done_again(repo: Repository, tree: Path) -> None:
    first = commit_files(repo.root, {f"{number}": "first" for number in range(100)})
    expected = contents(repo.root)
    git(repo.root, "rm", "-q", *(f"{number}" for number in range(1, 100, 2)))
    second = commit_files(repo.root, {f"{number}": "second" for number in range(0, 150, 2)})
    FastWorktrees(repo).materialise(first, tree)
    for delay in range(8):
        command = [sys.executable, "-c", MOVED, str(repo.root), str(tree), second, first]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(delay * 0.005)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        FastWorktrees(repo).reset(tree, first)
        assert contents(tree) == expected
        assert git(tree, "status", "--porcelain") == ""
        assert head(tree) == first


def test_gc_and_prune_beside_do_no_harm(repo: Repository, tree: Path) -> None:
    commits = [commit_files(repo.root, {"number": str(number)}) for number in range(6)]
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            git(repo.root, "worktree", "prune", "--expire=now")
            git(repo.root, "gc", "-q", "--prune=now", check=False)

    beside = threading.Thread(target=disturb)
    beside.start()
    try:
        for number in range(18):
            FastWorktrees(repo).materialise(commits[number % 6], tree)
            assert git(tree, "status", "--porcelain") == ""
            assert (tree / "number").read_text() == str(number % 6)
            FastWorktrees(repo).discard(tree)
    finally:
        done.set()
        beside.join()
    assert administrative(repo) == []
    assert git(repo.root, "fsck", "--full") == ""
