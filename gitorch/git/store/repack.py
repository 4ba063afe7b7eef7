"""Merging small packs.

Every commit of the results branch adds a pack, and each pack makes reading slower.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from gitorch.git.command import call_git, child_environment
from gitorch.git.repository import Repository

_PACKS_BEFORE_REPACK = 50
# By geometry, so that large packs are left alone and the cost is in proportion to what is new. A
# window of 5 objects and one thread take half the time, and packs are less than 1 % larger.
_REPACK = (
    "repack",
    "-d",
    "-q",
    "-n",
    "--geometric=2",
    "--window=5",
    "--threads=1",
)
# A shell that starts another one in the background and leaves at once. The other one has the lock
# as its standard input, and waits for the rest of the arguments, which do not inherit the lock.
# They have the lowest priority, since the tasks may need all processors.
_WAITING = 'exec >/dev/null 2>&1; { "$@" </dev/null; exit $?; } <&3 3<&- &'
_IN_BACKGROUND = ("sh", "-c", f"exec 3<&0; {_WAITING}", "sh", "nice", "-n", "19")


def maybe_repack(repo: Repository) -> bool:
    """Merge the packs in the background if there are many. Return True if that was begun."""
    if count_packs(repo) < _PACKS_BEFORE_REPACK or not _can_repack(repo):
        return False
    with _only_one(repo) as lock:
        if lock is None:
            return False
        # Because the shell leaves at once, no one waits for git. The lock is held until git ends.
        subprocess.run(
            [*_IN_BACKGROUND, "git", "-C", str(repo.root), *_REPACK],
            env=child_environment(),
            start_new_session=True,
            stdin=lock,
            check=True,
        )
    return True


def repack(repo: Repository) -> bool:
    """Merge the packs now. Return False if another process is doing it, or if git cannot.

    Raises GitFailed.
    """
    if not _can_repack(repo):
        return False
    with _only_one(repo) as lock:
        if lock is None:
            return False
        call_git(repo.root, *_REPACK, lock=lock)
    return True


def count_packs(repo: Repository) -> int:
    """Return how many packs the repository has."""
    return _count(repo, ".pack")


def _can_repack(repo: Repository) -> bool:
    """Return False for a partial clone: git 2.39 cannot repack that by geometry."""
    return _count(repo, ".promisor") == 0


def _count(repo: Repository, suffix: str) -> int:
    """Count the files among the packs.

    The names are text instead of `Path`, since every commit counts the packs.
    """
    try:
        names = os.listdir(repo.common_dir / "objects" / "pack")  # noqa: PTH208
    except FileNotFoundError:
        return 0
    return len([name for name in names if name.endswith(suffix)])


@contextmanager
def _only_one(repo: Repository) -> Iterator[int | None]:
    """Yield the lock's descriptor, or None if another process has the lock."""
    with (repo.state_dir / "repack.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock.fileno()
