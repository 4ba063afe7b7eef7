"""Long lines on a terminal: they continue on the next line, below the text that they continue.

This is for descriptions, which show everything. In tables of many runs, cells are cut; see `fit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitorch.cli.style import character_width, display_width

_TOKENS = re.compile(r"\x1b\[[0-9;]*m|.", re.S)
# Where a text begins that stands in a column.
_COLUMN = re.compile(r"(?<=\S) {2,}(?=\S)")
_FURTHER = 4  # the indent of what continues a line without columns
# How well a line may be broken at a character, if at all.
_SPACE = 3
_KINDS = {
    " ": _SPACE,
    **dict.fromkeys("/,;:", 2),
    **dict.fromkeys("_-.=&?", 1),
}
_LEAST_FILLED = 0.5  # of the room, before a line is broken at a space


def folded(text: str, width: int | None) -> str:
    """Return `text` with no line wider than a terminal of this width. None: as it is."""
    if width is None:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        if display_width(line) <= width:
            lines.append(line)
        else:
            lines += _pieces(line, width)
    return "\n".join(lines)


def _pieces(line: str, width: int) -> Iterator[str]:
    indent = _indent(line, width)
    room = width
    rest = line
    start = ""
    while display_width(rest) > room:
        end = _break(rest, room)
        yield f"{start}{rest[:end].rstrip()}"
        rest = rest[end:].lstrip(" ")
        start = " " * indent
        room = width - indent
    yield f"{start}{rest}"


def _indent(line: str, width: int) -> int:
    """Return the column of the last text that begins in the left half, else a small indent."""
    starts = []
    for gap in _COLUMN.finditer(line):
        column = display_width(line[: gap.end()])
        if column <= width // 2:
            starts.append(column)
    if starts:
        return starts[-1]
    leading = len(line) - len(line.lstrip(" "))
    return min(leading + _FURTHER, width // 2)


def _break(text: str, room: int) -> int:
    """Return the index in `text` before which the line ends. At least one character is kept.

    The last place of the best kind is chosen: at a space, else after punctuation.
    """
    places = [1, 0, 0, 0]
    column = 0
    for token in _TOKENS.finditer(text):
        character = token[0]
        if len(character) > 1:  # a colour
            continue
        kind = _KINDS.get(character, 0)
        if column > room * _LEAST_FILLED and kind == _SPACE:
            places[kind] = token.start()
        column += character_width(character)
        if column > room:
            break
        if kind != _SPACE and column > room * _LEAST_FILLED:
            places[kind] = token.end()
    return next(place for place in reversed(places) if place)
