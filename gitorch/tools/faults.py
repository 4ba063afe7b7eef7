"""A fault for tests: a process kills itself at the n-th durable boundary.

The variable GITORCH_DIE_AT=<n>:<file> requests this fault. Each boundary that a process passes
appends one byte to the file, and the process that writes the n-th byte kills itself with SIGKILL.
Standard library only, since the slots use this module too.
"""

from __future__ import annotations

import os
import signal

_DIE_AT = os.environ.get(
    "GITORCH_DIE_AT"
)  # read once: without it, a boundary must cost nothing


def boundary() -> None:
    """Mark a point at which the last step has become durable or visible to other processes.

    Such a step is a flush to disk, a rename, a moved reference or a commit.
    """
    if _DIE_AT is not None:
        _count(_DIE_AT)


def _count(die_at: str) -> None:
    """Append a byte to the file, and end the process if it is the last byte."""
    last, _, file = die_at.partition(":")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(file, flags, 0o600)
    try:
        os.write(descriptor, b".")
        # The offset is the end of this process's byte, whatever other processes append.
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
        if offset == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os.close(descriptor)
