"""A curve in one line of text, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gitorch.model.run.series import Series

_BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 20  # cells


def can_show_sparklines() -> bool:
    """Return True if stdout is a terminal whose encoding has the characters."""
    if not sys.stdout.isatty():
        return False
    try:
        _BLOCKS.encode(sys.stdout.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def sparkline(series: Series, width: int = WIDTH) -> str:
    """Return the curve of a series in at most `width` cells, "" if it has fewer than two values.

    Each cell has the mean of its values. A cell without a finite value is a space. The values are
    in the order of their steps, if they have steps.
    """
    values = _ordered(series)
    count = len(values)
    if sum(value is not None for value in values) < 2:
        return ""
    cells = []
    cell_count = min(width, count)
    for cell in range(cell_count):
        start, end = cell * count // cell_count, (cell + 1) * count // cell_count
        cells.append(_mean(values[start:end]))
    finite = [cell for cell in cells if cell is not None]
    low, high = min(finite), max(finite)
    return "".join(_block(cell, low, high) for cell in cells)


def _ordered(series: Series) -> list[float | None]:
    """Return the values by step, or as they were measured if a step is missing."""
    pairs = list(zip(series.steps, series.values, strict=True))
    if None in series.steps:
        return list(series.values)
    pairs.sort(key=lambda pair: pair[0] or 0)
    return [value for _, value in pairs]


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    if not finite:
        return None
    # Each is divided first: the sum of large floats is not finite.
    return sum(value / len(finite) for value in finite)


def _block(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    half_span = high / 2 - low / 2  # the whole may not be finite
    if half_span <= 0:
        return _BLOCKS[len(_BLOCKS) // 2 - 1]
    share = (value / 2 - low / 2) / half_span
    return _BLOCKS[int(share * (len(_BLOCKS) - 1) + 0.5)]
