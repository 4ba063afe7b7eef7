"""Text for people: colours where a terminal wants them, and nothing in it that a terminal would obey."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from gitorch.model.run.status import Status

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_STATUS = {
    Status.COMPLETE: "green",
    Status.RUNNING: "cyan",
    Status.ERROR: "red",
    Status.FAILED: "red",
    Status.HOLD: "yellow",
    Status.WAITING: "dim",
}
# Escape sequences (CSI, OSC and the two-byte ones), then what is left of control characters but tab and line feed.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def plain(text: str) -> str:
    """User text with what a terminal would obey taken out, and what cannot be encoded replaced."""
    if text.isprintable():
        return text  # nearly every one, and many times faster
    return _ESCAPES.sub("", text).encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """For where a line has its meaning: a line break, as a file's name may hold, is shown as `\\n`."""
    return text.replace("\n", "\\n")


def has_colors(stream: TextIO) -> bool:
    """https://no-color.org: any value of NO_COLOR but the empty one."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str, on: bool) -> str:
    return (
        f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"
        if on and styles
        else text
    )


def paint_status(status: Status, *, on: bool, width: int = 0) -> str:
    return paint(str(status).ljust(width), _STATUS[status], on=on)


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str], colors: bool) -> list[str]:
    """Aligned columns two spaces apart, nothing cut off; a cell may bring its colour."""
    cells = [[one_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(_padded, row, widths)).rstrip() for row in cells]
    return [paint(lines[0], "bold", on=colors), *lines[1:]]


def duration(seconds: float | None) -> str:
    """`0.4s`, `12s`, `3m20s`, `2h05m`, `3d04h`."""
    match seconds:
        case None:
            return ""
        case _ if seconds < 9.95:
            return f"{seconds:.1f}s"
        case _ if seconds < 60:
            return f"{seconds:.0f}s"
        case _ if seconds < 3600:
            return f"{seconds // 60:.0f}m{seconds % 60:02.0f}s"
        case _ if seconds < 86400:
            return f"{seconds // 3600:.0f}h{seconds % 3600 // 60:02.0f}m"
        case _:
            return f"{seconds // 86400:.0f}d{seconds % 86400 // 3600:02.0f}h"


def local_time(stamp: str | None) -> str:
    """A recorded time as the clock on the wall shows it."""
    return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}" if stamp else ""


def number(value: object) -> str:
    """A metric: up to six significant digits, integers whole."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def say(text: str = "") -> None:
    """To stderr: everything that is not data."""
    print(text, file=sys.stderr, flush=True)


def _width(cell: str) -> int:
    return len(cell) if cell.isprintable() else len(_ESCAPES.sub("", cell))


def _padded(cell: str, width: int) -> str:
    return cell.ljust(width) if cell.isprintable() else cell + " " * (width - _width(cell))
