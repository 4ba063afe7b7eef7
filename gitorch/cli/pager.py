"""The user's pager, for long output on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol


class _HasPager(Protocol):
    def pager(self) -> str: ...


@contextmanager
def paged(repository: _HasPager) -> Iterator[IO[bytes]]:
    """Provide a stream to write to: the pager that git would use, or stdout itself."""
    command = repository.pager() if sys.stdout.isatty() else ""
    if command in ("", "cat"):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # The defaults that git sets: the pager ends at once if the output fits on one screen, and it
    # passes colours on.
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, env=environment
    ) as pager:
        assert pager.stdin is not None  # noqa: S101  because stdin=PIPE
        with suppress(BrokenPipeError):  # the user has left the pager
            yield pager.stdin
            pager.stdin.close()
