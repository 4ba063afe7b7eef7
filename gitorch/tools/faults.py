"""A fault for tests: the process kills itself at the n-th durable boundary.

The environment asks for it with GITORCH_DIE_AT=<n>:<file>. Every boundary that a process passes
then makes the file one byte longer, and the process that writes the n-th byte ends there, by
SIGKILL. Standard library only, since the slots use this module too.
"""

from __future__ import annotations

import os
import signal

_DIE_AT = os.environ.get("GITORCH_DIE_AT")  # read once: without it, a boundary must cost nothing


def boundary() -> None:
    """Mark that what was just done is durable, or seen by other processes.

    That is a flush to disk, a rename, a moved reference or a commit.
    """
    if _DIE_AT is not None:
        _count(_DIE_AT)


def _count(die_at: str) -> None:
    last, _, file = die_at.partition(":")
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b".")
        # The offset is where our own byte ends, no matter what other processes append.
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
        if offset == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os.close(descriptor)
