"""Descriptors of processes, and what takes their place on systems that have none.

Linux has pidfd_open(2) since 5.3, so RHEL 8 does not have it, and some containers deny it. Python
has it only if it was built with the headers of such a kernel. The Pythons of conda and of uv often
were not. Standard library only, since the slot supervisor starts without site-packages.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_DENIED = {errno.ENOSYS, errno.EPERM}


def open_process(pid: int) -> int | None:
    """Return a descriptor of a process, or None if this system has no such descriptors.

    Raises ProcessLookupError if the process does not exist.
    """
    try:
        return os.pidfd_open(pid)
    except AttributeError:
        return None
    except OSError as error:
        if error.errno in _DENIED:
            return None
        raise


def send_signal(pid: int, descriptor: int | None, number: int) -> None:
    """Send a signal to a process by its descriptor, or by its pid if it has none.

    Raises ProcessLookupError, PermissionError.
    """
    if descriptor is None:
        os.kill(pid, number)
    else:
        signal.pidfd_send_signal(descriptor, number)


@contextmanager
def end_of(child: int) -> Iterator[int]:
    """Yield a descriptor that is ready for reading as soon as a child process has ended.

    The child must not have been reaped yet. Without pidfd_open(2), a thread waits for the child.
    """
    descriptor = open_process(child)
    if descriptor is None:
        descriptor = _pipe_until_end(child)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _pipe_until_end(child: int) -> int:
    """Return the reader of a pipe whose writer is closed when the child has ended."""
    from threading import Thread  # noqa: PLC0415  the slot supervisor does not load it

    reader, writer = os.pipe()
    try:
        Thread(target=_close_after, args=(writer, child), daemon=True).start()
    except RuntimeError:
        os.close(reader)
        os.close(writer)
        raise
    return reader


def _close_after(writer: int, child: int) -> None:
    """Close `writer` when the child has ended, and leave the child to be reaped by others."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.close(writer)
