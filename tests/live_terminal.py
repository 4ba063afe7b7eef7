"""A terminal whose screen can be read while a program runs on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pyte

_DEADLINE_S = 30.0


class LiveTerminal:
    """A pseudo-terminal, and the screen that it shows."""

    def __init__(self, columns: int, rows: int) -> None:
        self._leader, self.follower = pty.openpty()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, size)

    def read(self, wait_s: float = 0.0) -> list[str]:
        """Return the lines of the screen, without empty ones at the end."""
        while select.select([self._leader], [], [], wait_s)[0]:
            try:
                data = os.read(self._leader, 1 << 16)
            except OSError:
                break
            self.raw += data
            self._stream.feed(data)
            wait_s = 0.0
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def read_until(self, is_shown: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + _DEADLINE_S
        while not is_shown(lines := self.read(0.1)):
            assert time.monotonic() < deadline, "\n".join(lines)
        return lines

    def type(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def stream(self) -> TextIO:
        return os.fdopen(os.dup(self.follower), "w", encoding="utf-8")

    def close(self) -> None:
        os.close(self._leader)
        os.close(self.follower)


@contextmanager
def live_terminal(columns: int, rows: int) -> Iterator[LiveTerminal]:
    terminal = LiveTerminal(columns, rows)
    try:
        yield terminal
    finally:
        terminal.close()


@contextmanager
def gitorch_on(
    terminal: LiveTerminal, root: Path, *words: str, shell: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run gitorch in the foreground of a terminal, started by a shell if one is given."""
    process = subprocess.Popen(
        [*shell, sys.executable, "-m", "gitorch", *words],
        cwd=root,
        env={**os.environ, "TERM": "xterm", "PAGER": "cat", "NO_COLOR": "1"},
        stdin=terminal.follower,
        stdout=terminal.follower,
        stderr=terminal.follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
