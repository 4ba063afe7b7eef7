"""Locks on files. The kernel releases a lock when its holder ends for any reason (flock(2))."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PAUSE_S = 0.002


@contextmanager
def taken(path: Path, *, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock at `path`, if it becomes free within `wait_s` seconds.

    Yields True if the lock is held. The lock is polled, since flock(2) has no time limit, and a
    stopped holder must not block all other processes for ever.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    try:
        deadline = time.monotonic() + wait_s
        is_taken = _lock(descriptor, fcntl.LOCK_EX)
        while not is_taken and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            is_taken = _lock(descriptor, fcntl.LOCK_EX)
        yield is_taken
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


@contextmanager
def only_one_at(path: Path) -> Iterator[int]:
    """Hold the lock that a process needs to build, change or remove `path`.

    The lock is on the directory of `path`, which is created if it is missing. Yields the lock's
    descriptor, for a child process to inherit: the next holder then waits also for a child whose
    parent was killed. Otherwise such a child could fail late, clean up, and remove the files that
    the next holder has built.
    """
    descriptor = _lock_directory(path.parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_directory(directory: Path) -> int:
    """Lock a directory, after waiting for other holders, and return its descriptor."""
    while True:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            # FileExistsError: mkdir() found the directory, but it was removed a moment later.
            with suppress(FileNotFoundError, FileExistsError):
                directory.mkdir(parents=True, exist_ok=True)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), directory.stat()):
                    return descriptor
            os.close(
                descriptor
            )  # the previous holder of the lock has removed the directory


def _lock(descriptor: int, kind: int) -> bool:
    """Take a lock, LOCK_EX or LOCK_SH, without waiting. Return False if it is not free."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
