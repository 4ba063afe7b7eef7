"""A block of lines at the bottom of a terminal, redrawn in place below what is printed.

The cursor stays visible, so that nothing has to be restored however the program ends. The block is
never higher than the window, and no line is wider.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TextIO

from gitorch.cli.fit import cut
from gitorch.cli.style import display_width

_UP = "\x1b[{}A"
_ERASE_LINE = "\x1b[K"
_ERASE_BELOW = "\x1b[J"
_RESET = "\x1b[0m"


class WindowSize(NamedTuple):
    """The size of a terminal, in cells."""

    columns: int
    rows: int


class Screen:
    """The terminal behind a stream. Several threads may use it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Reentrant: a signal handler may come in the middle of a method.
        self._lock = threading.RLock()
        self._drawn: list[str] = []
        self._drawn_at: WindowSize | None = None
        self._block: Sequence[str] = ()

    @property
    def size(self) -> WindowSize:
        """Return the size of the window. COLUMNS is not heeded: it does not follow the window."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns = rows = 0
        return WindowSize(columns or 80, rows or 24)

    @property
    def most_lines(self) -> int:
        """Return the number of lines that a block may have: a line is left for what is printed."""
        return max(1, self.size.rows - 1)

    def draw(self, block: Sequence[str]) -> None:
        """Show these lines instead of those that were drawn last."""
        with self._lock:
            self._block = block
            if self._is_in_background():
                return
            lines, size = self._fitted(block), self.size
            if lines != self._drawn or size != self._drawn_at:
                self._write(self._to_top() + self._lines(lines))
                self._drawn, self._drawn_at = lines, size

    def print_above(self, text: str) -> None:
        """Print lines above the block. They stay."""
        with self._lock:
            above = (
                self._to_top() + (_ERASE_BELOW if self._drawn else "") + text + "\n"
            )
            lines: list[str] = []
            if not self._is_in_background():
                lines = self._fitted(self._block)
            self._write(above + self._lines(lines))
            self._drawn = lines

    def erase(self) -> None:
        """Remove the block."""
        with self._lock:
            if self._drawn:
                self._write(self._to_top() + _ERASE_BELOW)
            self._drawn = []
            self._block = ()

    def leave(self) -> None:
        """Leave the block where it is, and go on below it: another program writes there now."""
        with self._lock:
            if self._drawn:
                self._write("\n")
            self._drawn = []

    def _fitted(self, block: Sequence[str]) -> list[str]:
        """Return the last lines that fit. A line that fills the window would wrap."""
        width = max(1, self.size.columns - 1)
        return [_cut_colored(line, width) for line in block[-self.most_lines :]]

    def _to_top(self) -> str:
        """Return what moves the cursor to the beginning of the block that is drawn."""
        if len(self._drawn) > 1:
            return "\r" + _UP.format(min(len(self._drawn), self.size.rows) - 1)
        return "\r" if self._drawn else ""

    def _lines(self, lines: Sequence[str]) -> str:
        text = (_ERASE_LINE + "\n").join(lines)
        return f"{text}{_ERASE_BELOW}" if lines else ""

    def _is_in_background(self) -> bool:
        """Return True if another program has the terminal, as after Ctrl-Z and `bg`."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) != os.getpgrp()
        except (OSError, ValueError):
            return False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # the terminal is gone, and the work goes on


def _cut_colored(line: str, width: int) -> str:
    """Return a line that is at most `width` wide. A line that is cut loses its colours."""
    if display_width(line) <= width:
        return line
    return cut(line, width)


class _LinesAbove(io.TextIOBase):
    """A stream that prints whole lines above the block of a screen."""

    def __init__(self, stream: TextIO, print_line: Callable[[str], None]) -> None:
        self._under = stream
        self._print = print_line
        self._rest = ""

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._print(line)
        return len(text)

    def flush(self) -> None:
        self._under.flush()

    def isatty(self) -> bool:
        return self._under.isatty()

    def fileno(self) -> int:
        return self._under.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._under.encoding

    def finish(self) -> None:
        if self._rest:
            self._print(self._rest)


@contextmanager
def messages_above(screen: Screen) -> Iterator[None]:
    """Let everything that is written to stderr appear above the block of a screen on stderr."""
    before = sys.stderr
    above = _LinesAbove(before, screen.print_above)
    sys.stderr = above
    try:
        yield
    finally:
        above.finish()
        sys.stderr = before
