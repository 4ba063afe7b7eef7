"""Locks on files. The kernel frees a lock when its holder ends, however it ends (flock(2))."""

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
    """Take the lock at `path` if it becomes free within `wait_s` seconds. Yields True if taken.

    The lock is polled, since flock(2) has no time limit, and a stopped holder must not block all
    others for ever.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + wait_s
        while not (held := _lock(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
        yield held
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return True if a process holds the lock.

    For readers: the lock is not kept, and no file is created.
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
    """Hold the lock for everything that builds, changes or removes `path`, in any process.

    The lock is on the directory that `path` lies in, which is created if it is missing. Yields the
    lock's descriptor, for a child process to inherit: the next holder then also waits for a child
    whose parent was killed. Otherwise a child that fails late would remove what has been built in
    its place.
    """
    descriptor = _lock_directory(path.parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_directory(directory: Path) -> int:
    """Return a descriptor of the directory, locked, after waiting for other holders."""
    while True:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            # FileExistsError: the directory existed, and was removed at that very moment.
            with suppress(FileNotFoundError, FileExistsError):
                directory.mkdir(parents=True, exist_ok=True)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), directory.stat()):
                    return descriptor
            os.close(descriptor)  # the previous holder of the lock has removed the directory


def _lock(descriptor: int, kind: int) -> bool:
    """Take a lock of this kind if it is free. Return False if it is not."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
