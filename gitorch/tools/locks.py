"""Locks on files. The kernel releases a lock when its holder ends for any reason (flock(2)).

Locks are polled, since flock(2) has no time limit: a holder that is stopped must not block other
processes for ever, and a program that waits must be able to say so and to be interrupted.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from gitorch.errors import Busy, Refused
from gitorch.tools.process import command_line, table
from gitorch.tools.waits import Wait

# A directory that other processes keep removing is created this many times.
_TRIES = 1000
# A process that asks if a lock is held holds it for a moment.
_READERS_S = 5.0


@contextmanager
def taken(
    path: Path,
    *,
    wait_s: float = 0.0,
    awaited: str | None = None,
    mode: int = 0o600,
) -> Iterator[bool]:
    """Hold the lock at `path`, if it becomes free within `wait_s` seconds.

    Yields True if the lock is held. `awaited` says what a long wait is for. Raises UserInterrupted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        yield lock_within(descriptor, wait_s, awaited or f"the lock {path}")
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return True if a process holds the lock at `path`.

    This creates no file, and does not keep the lock.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


class LockedFile(Struct, frozen=True):
    """A new file: descriptors for appending to it, and for its lock.

    The lock has an open file of its own, since programs that inherit the other one would keep it.
    """

    output: int
    lock: int


def create_locked(path: Path) -> LockedFile:
    """Create a file that only its owner can read, and lock it until this process ends.

    Raises OSError, Busy.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    output = os.open(path, flags, 0o600)
    lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if not lock_within(lock, _READERS_S, f"the lock {path}"):
        raise Busy(f"another program holds the lock of {path}")
    return LockedFile(output, lock)


@contextmanager
def only_one_at(path: Path) -> Iterator[int]:
    """Hold the lock that a process needs to build, change or remove `path`.

    The lock is on the directory of `path`, which is created if it is missing. Yields the lock's
    descriptor for `git.command.run_git`: the next holder then waits also for a git whose parent was
    killed. Otherwise this git could fail late, clean up, and remove the files that the next holder
    has built. Raises OSError, UserInterrupted.
    """
    descriptor = _lock_directory(path.parent, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def share(path: Path) -> int:
    """Keep other processes from building, changing or removing `path`; several may do so.

    Returns a descriptor. The lock lasts until it is closed, or until this process ends. It
    excludes `only_one_at(path)`, also in this process. Raises OSError, UserInterrupted.
    """
    return _lock_directory(path.parent, fcntl.LOCK_SH)


@contextmanager
def only_one_at_now(path: Path) -> Iterator[bool]:
    """Hold the lock of `only_one_at`, if it is free. Yields True if it is held.

    The directory of `path` is not created.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        descriptor = os.open(path.parent, flags)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    try:
        yield _lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _lock_directory(directory: Path, kind: int) -> int:
    """Lock a directory, after waiting for other holders, and return its descriptor."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    awaited = f"the lock of {directory}"
    for _ in range(_TRIES):
        try:
            descriptor = os.open(directory, flags)
        except FileNotFoundError:
            create_directory(directory)
            continue
        try:
            lock_within(descriptor, math.inf, awaited, kind)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), directory.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # The previous holder of the lock has removed the directory.
        os.close(descriptor)
    raise Busy(f"{directory} cannot be made, or other programs remove it at once")


def create_directory(directory: Path) -> None:
    """Create a directory that other processes may create and remove at the same time."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        # A parent was removed.
        return
    except FileExistsError:
        # mkdir() found the directory, but it was removed a moment later; or a link is in its place.
        for path in (directory, *directory.parents):
            if path.is_symlink() and not path.exists():
                raise Refused(
                    f"{path} is a link to {path.readlink()}, which does not exist",
                    f"mkdir -p {path.readlink()}, or remove the link",
                ) from None


def lock_within(
    descriptor: int, wait_s: float, awaited: str, kind: int = fcntl.LOCK_EX
) -> bool:
    """Lock an open file. Return False if the lock does not become free within `wait_s` seconds.

    Raises UserInterrupted.
    """
    if _lock(descriptor, kind):
        return True
    wait = Wait(awaited, bound_s=wait_s, describe=lambda: _holders(descriptor))
    while wait.pause():
        if _lock(descriptor, kind):
            return True
    return False


def _lock(descriptor: int, kind: int) -> bool:
    """Take a lock, LOCK_EX or LOCK_SH, without waiting. Return False if it is not free."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def how_to_free(path: Path) -> str:
    """Return a hint that names the processes which hold the lock at `path`, and how to end them."""
    pids: list[int] = []
    with suppress(FileNotFoundError):
        pids = _holding(path.stat())
    if not pids:
        return (
            f"repeat this: no process that can be seen here holds {path} any more"
        )
    numbers = " ".join(map(str, pids))
    return f"wait for {_described(pids)}, or end it: kill {numbers}"


def _holders(descriptor: int) -> str:
    """Return which processes hold a lock on an open file, as an addition to a sentence."""
    pids = _holding(os.fstat(descriptor))
    return f", held by {_described(pids)}" if pids else ""


def _described(pids: Sequence[int]) -> str:
    return ", ".join(f"pid {pid} ({command_line(pid)})" for pid in pids)


def _holding(held: os.stat_result) -> list[int]:
    """Return the processes that hold a lock on a file.

    The descriptors of another user's processes cannot be read, but the kernel's list of locks can.
    """
    pids = [process.pid for process in table() if _has_lock(process.pid, held)]
    return pids or _listed_holders(held)


def _listed_holders(held: os.stat_result) -> list[int]:
    """Return who took the lock on a file according to /proc/locks; see proc(5)."""
    file = f"{os.major(held.st_dev):02x}:{os.minor(held.st_dev):02x}:{held.st_ino}"
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    pids = []
    for line in lines:
        _, kind, *rest = line.split()
        if kind == "FLOCK" and file in rest and int(rest[2]) > 0:
            pids.append(int(rest[2]))
    return pids


def _has_lock(pid: int, held: os.stat_result) -> bool:
    """Return True if a process has a descriptor with the lock; see proc(5), fdinfo."""
    try:
        for facts in Path(f"/proc/{pid}/fdinfo").iterdir():
            with suppress(FileNotFoundError):
                file = Path(f"/proc/{pid}/fd", facts.name)
                is_locked = "FLOCK" in facts.read_text()
                if is_locked and os.path.samestat(file.stat(), held):
                    return True
    except OSError:
        # The process has ended, or belongs to another user.
        return False
    return False
