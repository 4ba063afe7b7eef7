"""A fault that tests ask for: the process kills itself at the n-th durable boundary.

With GITORCH_DIE_AT=<n>:<file> in the environment every boundary that any process passes makes the file one byte
longer, and who writes its n-th byte ends there, by SIGKILL. Standard library only, since the slots call it too.
"""

from __future__ import annotations

import os
import signal

_DIE_AT = os.environ.get("GITORCH_DIE_AT")  # else it costs a look at a constant


def boundary() -> None:
    """What was done just now is durable or seen by others: a flush, a rename, a moved reference, a commit."""
    if _DIE_AT is not None:
        _count(_DIE_AT)


def _count(wish: str) -> None:
    last, _, file = wish.partition(":")
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b".")
        if os.lseek(descriptor, 0, os.SEEK_CUR) == int(
            last
        ):  # where our own byte ends, whoever else writes
            os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os.close(descriptor)
