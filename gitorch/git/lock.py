"""One writer at a time: what this clone writes into the repository is written under one lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from gitorch.errors import Busy
from gitorch.git.pack import sweep_packs
from gitorch.git.repository import Repository

_PATIENCE_S = 60.0
_PAUSE_S = 0.002


@contextlib.contextmanager
def locked(repo: Repository) -> Iterator[None]:
    """No other process or thread of this clone writes packs or moves our references meanwhile. Not reentrant.

    The kernel drops the lock with its holder, and what a killed holder left half made is swept away here.
    Raises Busy.
    """
    descriptor = os.open(repo.state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, repo.state_dir / "lock")
        sweep_packs(repo.common_dir)
        yield
    finally:
        os.close(descriptor)


def is_held(repo: Repository) -> bool:
    """Whether somebody is writing just now."""
    try:
        descriptor = os.open(repo.state_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int, path: Path) -> None:
    # Asked again and again rather than waited for: a stopped holder must not hang everybody for ever.
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Busy(
                    f"another gitorch has been writing to this repository for {_PATIENCE_S:.0f} s",
                    f"fuser {path} names it",
                ) from None
            time.sleep(_PAUSE_S)
