"""Tables that fit on a terminal: texts are cut, and the least informative columns are dropped.

In a pipe, nothing is cut or dropped.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO

from gitorch.cli.style import (
    character_width,
    display_width,
    one_line,
    plain,
    table,
)

_GAP = 2  # cells between two columns
_LEAST = 12  # cells to which a text may be cut to make room for another column
_LEAST_OF_NUMBER = (
    24  # numbers, ids and times are not cut, except for absurdly long ones
)
_CUT = "…"


class Column(NamedTuple):
    """How a column behaves where there is no room for all of them.

    The column with the highest `rank` is dropped first, and one of rank 0 never. A column of texts
    may be cut. With `keeps_end`, the end of a text is shown, as the end of a path says the most.
    """

    title: str
    rank: int
    is_text: bool = False
    keeps_end: bool = False


class Fitted(NamedTuple):
    """The lines of a table, and the titles of the columns that it leaves out."""

    lines: list[str]
    dropped: list[str]


def room(stream: TextIO) -> int | None:
    """Return the width of the terminal behind `stream`. None: it is not a terminal, or unknown."""
    if not stream.isatty():
        return None
    with suppress(ValueError):
        columns = int(os.environ.get("COLUMNS", ""))
        if columns > 0:
            return columns
    with suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns or None
    return None


def fitted_table(
    rows: Sequence[Sequence[str]],
    columns: Sequence[Column],
    *,
    width: int | None,
    colors: bool,
    keeps_all: bool = False,
) -> Fitted:
    """Return a table that is at most `width` wide. None: as wide as it has to be.

    With `keeps_all`, no column is dropped, so that the table may be wider.
    """
    header = [column.title for column in columns]
    if width is None:
        return Fitted(table(rows, header=header, colors=colors), [])
    cells = [list(map(one_line, row)) for row in (header, *rows)]
    extents = [
        _extent(*pair, width)
        for pair in zip(columns, zip(*cells, strict=True), strict=True)
    ]
    kept = list(range(len(columns)))
    if not keeps_all:
        kept = _kept(columns, extents, width)
    widths = _shared_out(extents, kept, width)
    shown = []
    for row in cells[1:]:
        shown.append(
            [_cell(row[index], columns[index], widths[index]) for index in kept]
        )
    titles = [title_cut(cells[0][index], widths[index]) for index in kept]
    dropped = [header[index] for index in range(len(columns)) if index not in kept]
    return Fitted(table(shown, header=titles, colors=colors), dropped)


def _cell(text: str, column: Column, width: int) -> str:
    return title_cut(text, width) if column.keeps_end else cut(text, width)


def dropped_line(
    fitted: Fitted, width: int | None, *, option: str = "--all-columns"
) -> list[str]:
    """Return the line that names the columns for which there was no room, if there are any."""
    if not fitted.dropped:
        return []
    start = f"not shown, see {option}: " if option else "not shown: "
    return [joined_within(start, fitted.dropped, ", ", width)]


def joined_within(
    start: str, texts: Sequence[str], separator: str, width: int | None
) -> str:
    """Return a line of as many `texts` as there is room for, and of how many more there are."""
    line = start + separator.join(texts)
    count = len(texts)
    while width is not None and display_width(line) > width and count > 0:
        count -= 1
        rest = f"… and {len(texts) - count} more"
        line = start + separator.join([*texts[:count], rest])
    return line


def cut(text: str, width: int) -> str:
    """Return the beginning of `text` that occupies at most `width` cells, with `…` if it is cut."""
    if display_width(text) <= width:
        return text
    if text.isascii() and text.isprintable():
        return text[: width - 1].rstrip() + _CUT
    shown = ""
    left = width - 1
    for character in unicodedata.normalize("NFC", plain(text)):
        left -= character_width(character)
        if left < 0:
            break
        shown += character
    return shown.rstrip() + _CUT


def title_cut(title: str, width: int) -> str:
    """Return the end of a title, since the last key of a dotted name says the most."""
    if display_width(title) <= width:
        return title
    backwards = cut(title[::-1], width)
    return backwards[::-1]


class _Extent(NamedTuple):
    """The width of a column with whole cells, and the least width to which it may be cut."""

    natural: int
    least: int


def _extent(column: Column, cells: Sequence[str], width: int) -> _Extent:
    title, *rest = map(display_width, cells)
    widest = max(rest, default=0)
    least = min(widest, _LEAST if column.is_text else _LEAST_OF_NUMBER)
    return _Extent(
        natural=min(max(title, widest), width), least=max(least, min(title, _LEAST))
    )


def _kept(
    columns: Sequence[Column], extents: Sequence[_Extent], width: int
) -> list[int]:
    """Return the indexes of the columns that fit if every text is as short as it may be."""
    kept = list(range(len(columns)))

    def needed() -> int:
        return sum(extents[index].least + _GAP for index in kept) - _GAP

    while needed() > width:
        last = max(kept, key=lambda index: (columns[index].rank, index))
        if columns[last].rank == 0:
            break
        kept.remove(last)
    return kept


def _shared_out(
    extents: Sequence[_Extent], kept: Sequence[int], width: int
) -> dict[int, int]:
    """Return the width of each kept column. The widest columns give up room first."""
    widths = {index: extents[index].natural for index in kept}
    excess = sum(widths.values()) + _GAP * (len(kept) - 1) - width
    while excess > 0:
        reducible = [
            index for index in kept if widths[index] > extents[index].least
        ]
        if not reducible:
            break
        widest = max(reducible, key=lambda index: widths[index])
        widths[widest] -= 1
        excess -= 1
    return widths
