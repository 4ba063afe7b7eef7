"""The administrative directories of worktrees after crashes, moves and interference."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import admin_directory
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.tools.locks import only_one_at
from tests.conftest import commit_files, git
from tests.git.conftest import administrative, contents, head
from tests.git.worktree.killing import start


def test_a_worktree_without_its_mark_is_made_anew(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    pinned = head(repo.root)
    fast.materialise(pinned, tree)
    (admin_directory(repo, tree) / "gitorch.json").unlink()
    (tree / "README.md").unlink()
    assert not fast.is_present(tree)
    fast.materialise(pinned, tree)
    assert contents(tree) == {"README.md": b"A project.\n"}
    assert administrative(repo) == [admin_directory(repo, tree).name]


@pytest.mark.parametrize(
    "remains",
    ["nothing but the lock", "an empty directory", "an empty .git", "half a tree"],
)
def test_what_a_killed_git_left_is_replaced(
    repo: Repository, fast: FastWorktrees, tree: Path, remains: str
) -> None:
    pinned = head(repo.root)
    stale = repo.common_dir / "worktrees" / "tree"
    if remains in ("nothing but the lock", "half a tree"):
        add = ("worktree", "add", "-q", "--detach", "--lock", "--reason", "gitorch")
        git(repo.root, *add, str(tree), pinned)
        (tree / "README.md").unlink()
    if remains == "nothing but the lock":
        subprocess.run(["rm", "-r", tree], check=True)
    if remains in ("an empty directory", "an empty .git"):
        tree.mkdir(parents=True)
    if remains == "an empty .git":
        (tree / ".git").touch()
    fast.materialise(pinned, tree)
    assert contents(tree) == {"README.md": b"A project.\n"}
    fast.discard(tree)
    fast.empty_trash()
    assert not stale.exists()


MATERIALISE = "worktrees.materialise(sys.argv[3], Path(sys.argv[2]))"


def test_a_git_that_outlives_its_killed_caller_is_waited_for(
    repo: Repository, fast: FastWorktrees, tree: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    git(repo.root, "config", "filter.slow.smudge", f"cat {gate}; cat")
    pinned = commit_files(
        repo.root, {".gitattributes": "slow filter=slow\n", "slow": "x"}
    )
    victim = start(MATERIALISE, repo.root, tree, pinned)
    with gate.open("wb"):  # opens as soon as git has come to the file
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        with pytest.raises(BlockingIOError):
            fcntl.flock(
                os.open(tree.parent, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB
            )
    victim.communicate()
    git(repo.root, "config", "filter.slow.smudge", "cat")
    fast.materialise(pinned, tree)
    assert git(tree, "status", "--porcelain") == ""


def test_a_lock_on_a_directory_that_was_removed_locks_nothing(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    with only_one_at(tree):
        waiting = threading.Thread(
            target=fast.materialise, args=(head(repo.root), tree)
        )
        waiting.start()
        assert waiting.is_alive()
        tree.parent.rmdir()
    waiting.join()
    assert fast.is_present(tree)


@pytest.mark.parametrize("moved", ["repository", "workspace", "both"])
def test_after_a_move_the_worktree_and_the_repository_find_each_other(
    repo: Repository, fast: FastWorktrees, tree: Path, tmp_path: Path, moved: str
) -> None:
    pinned = head(repo.root)
    fast.materialise(pinned, tree)
    (tree / "checkpoint").write_text("kept")
    (tmp_path / "new").mkdir()
    root, tree_now = repo.root, tree
    if moved in ("repository", "both"):
        root = repo.root.rename(tmp_path / "new" / "project")
    if moved in ("workspace", "both"):
        workspace = repo.workspace.rename(tmp_path / "new" / "project.gitorch")
        tree_now = workspace / tree.relative_to(repo.workspace)
    repo_now = Repository.discover(root)
    fast_now = FastWorktrees(repo_now)
    assert not fast_now.is_present(tree_now)
    fast_now.materialise(pinned, tree_now)
    assert (tree_now / "checkpoint").read_text() == "kept"
    assert git(tree_now, "status", "--porcelain") == "?? checkpoint"
    assert administrative(repo_now) == [admin_directory(repo_now, tree_now).name]
    assert f"worktree {tree_now}\n" in git(root, "worktree", "list", "--porcelain")


def test_a_run_that_removed_its_git_file_gets_a_new_worktree(
    repo: Repository, fast: FastWorktrees, tree: Path
) -> None:
    pinned = head(repo.root)
    fast.materialise(pinned, tree)
    (tree / ".git").unlink()
    fast.materialise(pinned, tree)
    assert git(tree, "status", "--porcelain") == ""
