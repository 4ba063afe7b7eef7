"""The user's pager, for long output on a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol

from gitorch.cli.style import moves_cursor, printable

# The defaults that git sets: the pager ends at once if the output fits on one screen, and it passes
# colours on. In a table, lines are not wrapped: the arrow keys scroll to the right.
_LESS = "FRX"
_LESS_FOR_TABLES = "FRSX"
# A command with other characters needs a shell to tell which program it starts.
_SIMPLE = re.compile(r"[\w./+-]+(?: [\w./+=-]+)*")


class _HasPager(Protocol):
    def pager(self) -> str: ...


def print_paged(
    repository: _HasPager, text: str, *, is_table: bool = False
) -> None:
    """Print data to stdout, through the pager if stdout is a terminal."""
    with paged(repository, is_table=is_table) as out:
        shown = printable(text, sys.stdout)
        out.write(f"{shown}\n".encode(sys.stdout.encoding, "gitorch"))


@contextmanager
def paged(repository: _HasPager, *, is_table: bool = False) -> Iterator[IO[bytes]]:
    """Provide a stream to write to: the pager that git would use, or stdout itself.

    Ctrl-C is left to the pager, which returns to its prompt.
    """
    command = _pager(repository)
    if command is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    less = _LESS_FOR_TABLES if is_table else _LESS
    environment = {"LESS": less, "LV": "-c", **os.environ}
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, env=environment
    ) as pager:
        assert pager.stdin is not None  # noqa: S101  because stdin=PIPE
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with suppress(BrokenPipeError):  # the user has left the pager
                yield pager.stdin
                pager.stdin.close()
            pager.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def _pager(repository: _HasPager) -> str | None:
    """Return the command of the pager. None: there is none, or it is not wanted here."""
    if not moves_cursor(sys.stdout):
        return None
    import shutil

    command = repository.pager()
    if command in ("", "cat"):
        return None
    if _SIMPLE.fullmatch(command) and not shutil.which(command.split()[0]):
        return None
    return command
