"""The numbers that gitorch accepts from outside, and their bounds.

Results, events, options, configs and records may have numbers that JSON, SQLite or other programs
cannot hold: NaN, infinities, and integers of any length. Each entrance uses one of three rules:

- A *measured* number becomes finite: an integer beyond 64 bits becomes a float, and NaN, an
  infinity, and an integer beyond the range of floats become None.
- A *requested* number, such as a priority, is refused if it is out of its bounds.
- A number that was stored before the bounds existed is moved to the nearest bound.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

LARGEST_INTEGER = (1 << 63) - 1  # of SQLite, and of most languages that read JSON
LARGEST_PRIORITY = 1_000_000
MOST_ATTEMPTS = 1_000_000  # at one task


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return True for an int or a float of any size. A bool is not a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: Any) -> TypeGuard[int | float]:
    """Return True for a number that `measured` returns unchanged."""
    return is_number(value) and measured(value) == value


def measured(value: float) -> int | float | None:
    """Return the number as JSON and SQLite can hold it, or None if it is not finite."""
    if isinstance(value, int):
        if -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return value
        try:
            return float(value)
        except OverflowError:
            return None
    return value if math.isfinite(value) else None


def finite(value: Any) -> Any:
    """Return a JSON value in which each number is replaced by the result of `measured`."""
    match value:
        case bool():
            return value
        case int() | float():
            return measured(value)
        case list() | tuple():
            return [finite(item) for item in value]
        case dict():
            return {key: finite(item) for key, item in value.items()}
        case _:
            return value


def clamped(value: int, bound: int) -> int:
    """Return the number nearest to `value` from `-bound` to `bound`."""
    return max(-bound, min(value, bound))
