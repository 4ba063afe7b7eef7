"""A process in the background that outlives the terminal.

While it begins, it prints to the terminal as any other program. When it has begun, it says so to
the process in the foreground, which then ends. If it ends before, the process in the foreground
ends with the same exit code.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_BLOCK = 1 << 12
_STDERR = 2
_SIGNALLED = (
    128  # more than this: the exit code of a program that was ended by a signal
)
_INTERRUPTS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Foreground(NamedTuple):
    """The end of the launch, for the process in the foreground.

    `message` is from the process in the background. It is empty if the process has ended, and
    `code` is its exit code then.
    """

    message: bytes
    code: int


class Background:
    """The process in the background, until it has begun."""

    def __init__(self, foreground: int, launcher: int) -> None:
        """Both are pipes: to the process in the foreground, and to the one that waits for it."""
        self._foreground = foreground
        self._launcher = launcher
        self.has_begun = False

    def begin(self, message: bytes, output: int) -> None:
        """Leave the terminal: write to the file `output` from now on, and ignore SIGHUP.

        `message` goes to the process in the foreground, which then ends.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(output, 1)
        os.dup2(output, 2)
        # Programs that this process starts would inherit SIG_IGN.
        signal.signal(signal.SIGHUP, _ignore)
        self.has_begun = True
        # The terminal and the process in the foreground may be gone already.
        with suppress(BrokenPipeError):
            os.write(self._foreground, message)
        with suppress(BrokenPipeError):
            os.write(self._launcher, b"\n")
        os.close(self._foreground)
        os.close(self._launcher)


def go_into_background() -> Background | Foreground:
    """Continue in two processes. To be called before this process has threads or connections.

    The process in the background gets a Background. It has no terminal and cannot get one, since it
    is not the leader of its session. The process in the foreground gets a Foreground as soon as the
    other one has begun or ended. Until then it passes interruptions on.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    launcher = os.fork()
    if launcher == 0:
        os.close(ours)
        return _launch(theirs)
    os.close(theirs)
    # What follows must not be cut short by a terminal that closes.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.read(ours, 1)  # the launcher has its own session now, and ignores signals
    message = _read_patiently(ours, launcher)
    os.close(ours)
    _, status = os.waitpid(launcher, 0)
    return Foreground(message, os.waitstatus_to_exitcode(status))


def _launch(foreground: int) -> Background:
    """Return in a new process, of a new session, and wait until it has begun or ended."""
    os.setsid()
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        _close_input()
        _close_inherited()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        return Background(foreground, theirs)
    try:
        for number in _INTERRUPTS:
            signal.signal(number, signal.SIG_IGN)
        os.write(foreground, b"\n")
        os.close(foreground)
        os.close(theirs)
        if not os.read(ours, 1):
            _, status = os.waitpid(process, 0)
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else _SIGNALLED - code)
    finally:
        os._exit(0)


def _close_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _close_inherited() -> None:
    """Close what the caller has left open, except the standard streams: a pipe, or a locked file.

    The caller, or its reader, could otherwise wait until this process ends. The files of this
    process are not inheritable.
    """
    for path in Path("/proc/self/fd").iterdir():
        descriptor = int(path.name)
        with suppress(OSError):  # the directory itself is closed by now
            if descriptor > _STDERR and os.get_inheritable(descriptor):
                os.close(descriptor)


def _read_patiently(pipe: int, launcher: int) -> bytes:
    """Read a pipe to its end. Pass an interruption on to the group of the launcher."""
    blocks = b""
    while True:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
            block = os.read(pipe, _BLOCK)
        except KeyboardInterrupt:
            with suppress(ProcessLookupError):
                os.killpg(launcher, signal.SIGINT)
            continue
        if not block:
            return blocks
        blocks += block


def _ignore(number: int, frame: FrameType | None) -> None:
    pass
