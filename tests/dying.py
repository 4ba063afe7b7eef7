"""A fault: a process kills itself at the n-th durable boundary.

The variable GITORCH_DIE_AT=<n>:<file> requests this fault from `tests/prefork.py`. Each boundary
that a process passes appends one byte to the file, and the process that writes the n-th byte kills
itself with SIGKILL. The supervisor of the slots starts without site-packages, so its program is
preceded by one that executes this file.
"""

from __future__ import annotations

import os
import signal

from gitorch.tools import faults

PRECEDING = f"""
import sys
sys.path.insert(0, sys.argv[1])
with open({__file__!r}, encoding="utf-8") as file:
    exec(compile(file.read(), file.name, "exec"), {{"__name__": "dying", "__file__": file.name}})
"""


def _count() -> None:
    """Append a byte to the file, and end the process if it is the last byte."""
    last, _, file = os.environ["GITORCH_DIE_AT"].partition(":")
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


if "GITORCH_DIE_AT" in os.environ:
    faults.passed = _count
