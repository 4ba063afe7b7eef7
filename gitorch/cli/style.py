"""Text for people: colours only if the terminal shows them, and no control sequences."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, TextIO

from gitorch.model.run.status import Status
from gitorch.model.text.shown import CONTROLS
from gitorch.model.text.shown import duration as duration
from gitorch.model.text.shown import number as number
from gitorch.model.text.shown import visible as visible

if TYPE_CHECKING:
    from gitorch.model.text.masking import Masking

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_STATUS_COLORS = {
    Status.COMPLETE: "green",
    Status.RUNNING: "cyan",
    Status.ERROR: "red",
    Status.FAILED: "red",
    Status.HOLD: "yellow",
    Status.WAITING: "dim",
}
# Escape sequences (CSI, OSC and the two-byte sequences), then every character that controls.
# `re` compiles these where they are used, which is seldom: they take a millisecond.
_ESCAPES = (
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])"
    rf"|[{CONTROLS}]"
)
_COLOR_OR_ESCAPE = rf"(\x1b\[[0-9;:]*m)|{_ESCAPES}"
# The same in UTF-8, with the characters of C1 and those that change the direction of text.
_RAW_CONTROLS = (
    rb"(\x1b\[[0-9;:]*m)"
    rb"|\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|.?)"
    rb"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]"
    rb"|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]"
)
_NEVER = (
    "never",
    "false",
    "no",
    "off",
    "0",
)  # of color.ui, with git's words for false
# Unicode categories of characters that occupy no cell of their own: marks that combine with the
# character before them, and format characters such as the zero-width joiner.
_WIDEST = 200  # cells of a terminal
_ZERO_WIDTH = {"Mn", "Me", "Cf"}


def text_or_nothing(text: str | None) -> str:
    return text or ""


def plain(text: str) -> str:
    """Return `text` without control sequences.

    A `?` stands for each character that cannot be encoded.
    """
    if text.isprintable():
        return text  # true of nearly every text, and many times faster than the substitution
    return re.sub(_ESCAPES, "", text).encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    r"""Return `text` with `\n` and `\t` for line breaks and tabs, for output with rows."""
    return text.replace("\n", "\\n").replace("\t", "\\t")


def in_line(text: str) -> str:
    """Return a field of a run as it is shown: without control sequences, in one line."""
    return one_line(plain(text))


def has_colors(stream: TextIO) -> bool:
    """Return True if colours may be written to `stream`.

    The first of these rules that applies decides:

    | rule                                                | colours           |
    |-----------------------------------------------------|-------------------|
    | NO_COLOR is set (https://no-color.org)              | never             |
    | FORCE_COLOR or CLICOLOR_FORCE is set                | also in a pipe    |
    | `git config color.ui always`                        | also in a pipe    |
    | `git config color.ui never` (or false), CLICOLOR=0  | never             |
    | TERM=dumb                                           | never             |
    | otherwise                                           | on a terminal     |

    A variable that is empty counts as unset, and so does a FORCE_COLOR or CLICOLOR_FORCE of 0.
    """
    environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environ.get(name, "") not in ("", "0"):
            return True
    if ColorUi.value == "always":
        return True
    if ColorUi.value in _NEVER or environ.get("CLICOLOR") == "0":
        return False
    return moves_cursor(stream)


def moves_cursor(stream: TextIO) -> bool:
    """Return True if `stream` is a terminal on which a view can be drawn again and again."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class ColorUi:
    """The value of git's `color.ui` in the repository that the command works in."""

    value = "auto"


def paint(text: str, *styles: str, on: bool) -> str:
    if not on or not styles:
        return text
    codes = ";".join(_CODES[style] for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m"


def paint_status(status: Status, *, on: bool) -> str:
    return paint(str(status), _STATUS_COLORS[status], on=on)


def table(
    rows: Sequence[Sequence[str]], *, header: Sequence[str], colors: bool
) -> list[str]:
    """Return the lines of a table: aligned columns, two spaces apart, with nothing cut off.

    A cell may contain colours. A cell that is wider than `_WIDEST` shifts only its own row.
    """
    cells = [list(map(one_line, row)) for row in (header, *rows)]
    widths = []
    for column in zip(*cells, strict=True):
        widths.append(min(max(map(display_width, column)), _WIDEST))
    lines = ["  ".join(map(padded, row, widths)).rstrip() for row in cells]
    return [paint(lines[0], "bold", on=colors), *lines[1:]]


def display_width(text: str) -> int:
    """Return how many cells of a terminal `text` occupies; colours in it occupy none.

    East Asian wide characters and emoji occupy two cells, combining characters none. The text is
    composed first (NFC), because decomposed Hangul occupies the cells of its composed syllables.
    """
    if text.isascii() and text.isprintable():
        return len(text)
    visible = re.sub(_ESCAPES, "", text)
    return sum(map(character_width, unicodedata.normalize("NFC", visible)))


def character_width(character: str) -> int:
    """Return how many cells of a terminal one character occupies."""
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 2
    return 1


def padded(text: str, width: int) -> str:
    """Return `text` with spaces after it, so that it occupies `width` cells."""
    return text + " " * (width - display_width(text))


def local_time(stamp: str | None) -> str:
    """Return a recorded time in the local time zone; an unknown one is empty."""
    if not stamp:
        return ""
    return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}"


def say(text: str = "", *, end: str = "\n") -> None:
    """Print a message to stderr, without secrets. Only data is printed to stdout."""
    shown = printable(masking().text(text), sys.stderr)
    print(shown, file=sys.stderr, end=end, flush=True)


def put(text: str, *, flush: bool = False) -> None:
    """Print data to stdout."""
    print(printable(text, sys.stdout), flush=flush)


def printable(text: str, stream: TextIO) -> str:
    """Return `text` without control characters, except for colours where `stream` shows them.

    All text that is printed goes through this function or through `without_controls`. The
    functions that render a field apply `plain` to it, since only they can tell the colours of
    gitorch from those in a field.
    """
    if text.isprintable():
        return text
    if has_colors(stream):
        return re.sub(_COLOR_OR_ESCAPE, lambda match: match[1] or "", text)
    return re.sub(_ESCAPES, "", text)


def without_controls(data: bytes) -> bytes:
    """Return a piece of raw output for a terminal: with its colours, without other controls.

    Carriage returns and backspaces stay, since progress bars use them.
    """
    return re.sub(_RAW_CONTROLS, lambda match: match[1] or b"", data)


@cache
def masking() -> Masking:
    """Return what masks the secrets of this process in messages."""
    from gitorch.model.text.masking import Masking

    return Masking(os.environ)
