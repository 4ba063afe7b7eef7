"""References moved by compare-and-swap, in spite of locks that others hold or left behind."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from gitorch.errors import Busy
from gitorch.git.repository import Repository
from gitorch.git.store import refs
from gitorch.git.store.branch_state import KEPT
from gitorch.git.store.refs import move_ref, old_locks, read_ref, remove_old_lock
from gitorch.git.store.results import ResultsBranch
from tests.conftest import commit_files, git
from tests.git.conftest import head
from tests.git.store.conftest import OTHER, RUN, put, start_writer

NAME = "refs/gitorch/test"


def age(lock: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(lock, (then, then))


def test_a_reference_moves_only_from_the_expected_commit(repo: Repository) -> None:
    first = head(repo.root)
    second = commit_files(repo.root, {"file": "x"})
    assert read_ref(repo, NAME) is None
    assert not move_ref(repo, NAME, second, first, "it does not exist")
    assert move_ref(repo, NAME, None, first, "begin")
    assert not move_ref(repo, NAME, None, second, "it exists")
    assert move_ref(repo, NAME, first, second, "move")
    assert not move_ref(repo, NAME, first, second, "it has moved")
    assert read_ref(repo, NAME) == second
    assert git(repo.root, "rev-parse", NAME) == second


def test_a_lock_that_a_killed_process_left_is_removed(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    for name in ("refs/heads/gitorch/results.lock", f"{KEPT}.lock"):
        lock = project / ".git" / name
        lock.touch()
        age(lock, 60)
    put(branch, OTHER)
    assert branch.run_ids() == [RUN, OTHER]
    assert git(project, "rev-parse", KEPT) == branch.tip()


def test_a_lock_that_a_process_holds_is_waited_for(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    held = project / ".git" / "refs/heads/gitorch/results.lock"
    held.touch()
    process = start_writer(project, 0, 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.4)
    assert held.exists()
    held.unlink()
    assert process.communicate()[0] == "0\n"


def test_a_lock_that_is_never_released_is_busy(
    project: Path, branch: ResultsBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = put(branch)
    monkeypatch.setattr(refs, "_PATIENCE_S", 0.05)
    (project / ".git" / "refs/heads/gitorch/results.lock").touch()
    with pytest.raises(Busy, match="refs/heads/gitorch/results cannot be moved"):
        put(branch, OTHER)
    assert branch.tip() == tip
    assert not list((project / ".git" / "objects" / "pack").glob("*.keep"))


def test_only_old_locks_are_found_and_removed(repo: Repository) -> None:
    (repo.common_dir / "refs/gitorch/pins").mkdir(parents=True)
    locks = [
        repo.common_dir / "packed-refs.lock",
        repo.common_dir / "refs/heads/gitorch.lock",
        repo.common_dir / "refs/gitorch/pins/1.lock",
    ]
    for lock in locks:
        lock.touch()
    assert old_locks(repo, "refs/heads/gitorch") == []
    for lock in locks:
        age(lock, 61)
    assert old_locks(repo, "refs/heads/gitorch") == locks
    assert old_locks(repo) == [locks[0], locks[2]]
    locks[0].touch()
    for lock in locks:
        remove_old_lock(lock)
    assert [lock.exists() for lock in locks] == [True, False, False]
