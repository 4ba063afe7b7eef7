"""Many small packs into few: every commit of the results branch adds one, and each makes reading slower."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from gitorch.git.command import call_git, child_environment
from gitorch.git.repository import Repository

_PACKS_BEFORE_REPACK = 50
# By geometry, so that large packs are left alone and the whole costs no more than what is new.
_REPACK = ("repack", "-d", "-q", "-n", "--geometric=2")


def maybe_repack(repo: Repository) -> bool:
    """Merge the packs in the background where there are many; whether it was begun."""
    if count_packs(repo) < _PACKS_BEFORE_REPACK or not _can_repack(repo):
        return False
    with _only_one(repo) as lock:
        if lock is None:
            return False
        # The shell leaves at once, so that nobody has to wait for git; git holds the lock on as long as it lives.
        subprocess.run(
            [
                "sh",
                "-c",
                '"$@" >/dev/null 2>&1 </dev/null &',
                "sh",
                "git",
                "-C",
                str(repo.root),
                *_REPACK,
            ],
            env=child_environment(),
            start_new_session=True,
            pass_fds=(lock,),
            check=True,
        )
    return True


def repack(repo: Repository) -> bool:
    """Merge the packs now; False where that is being done, or git cannot. Raises GitFailed."""
    if not _can_repack(repo):
        return False
    with _only_one(repo) as lock:
        if lock is None:
            return False
        call_git(repo.root, *_REPACK, inherit=(lock,))
    return True


def count_packs(repo: Repository) -> int:
    return _count(repo, ".pack")


def _can_repack(repo: Repository) -> bool:
    """git 2.39 cannot repack a partial clone by geometry."""
    return not _count(repo, ".promisor")


def _count(repo: Repository, suffix: str) -> int:
    """Files among the packs, by their names as text: this is in the way of every commit."""
    try:
        names = os.listdir(repo.common_dir / "objects" / "pack")  # noqa: PTH208
        return sum(name.endswith(suffix) for name in names)
    except FileNotFoundError:
        return 0


@contextmanager
def _only_one(repo: Repository) -> Iterator[int | None]:
    """The lock's descriptor, or None where another has it."""
    with (repo.state_dir / "repack.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock.fileno()
