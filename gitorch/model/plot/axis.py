"""The axes of a plot: their range, and ticks at round numbers."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import NamedTuple

_LARGEST = sys.float_info.max
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Tick(NamedTuple):
    """A mark on an axis."""

    value: float
    label: str


class Axis(NamedTuple):
    """A range of values. `ticks` are within the range."""

    low: float
    high: float
    is_log: bool
    ticks: tuple[Tick, ...]

    @classmethod
    def of(
        cls, values: Iterable[float], *, is_log: bool = False, ticks: int = 6
    ) -> Axis:
        """Return an axis for these finite values, with about so many ticks.

        A logarithmic axis is for the positive values alone. Without values, it is from 0 to 1, or
        from 1 to 10.
        """
        if is_log:
            shown = [value for value in values if value > 0]
            low, high = _widened(shown, is_log=True)
            return cls(low, high, True, _log_ticks(low, high, ticks))
        low, high = _widened(list(values), is_log=False)
        return cls(low, high, False, _ticks(low, high, ticks))

    def place(self, value: float) -> float:
        """Return where a value is on a ruler: its logarithm on a logarithmic axis."""
        return math.log10(value) if self.is_log else value

    def share(self, value: float) -> float:
        """Return the position of a value: 0 at the low end, 1 at the high end."""
        if self.is_log:
            start, end = math.log10(self.low), math.log10(self.high)
            return (math.log10(value) - start) / (end - start)
        # Halves, since the difference of two large floats may not be finite.
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)


def _widened(values: list[float], *, is_log: bool) -> tuple[float, float]:
    """Return the lowest and the highest value, which differ."""
    if not values:
        return (1.0, 10.0) if is_log else (0.0, 1.0)
    low, high = float(min(values)), float(max(values))
    if is_log:
        if math.log10(high) - math.log10(low) < 1e-9:
            low, high = low / 2 or low, high * 2  # half of the least float is 0
        return low, min(high, _LARGEST)
    if high / 2 - low / 2 <= abs(high) * 1e-12:
        margin = max(abs(low) * 0.1, sys.float_info.min * 1e16)
        if low == 0:
            margin = 1.0
        low, high = low - margin, high + margin
    return max(low, -_LARGEST), min(high, _LARGEST)


def _ticks(low: float, high: float, count: int) -> tuple[Tick, ...]:
    half_span = high / 2 - low / 2
    raw = half_span / count * 2
    if not math.isfinite(raw) or raw < sys.float_info.min:
        return _only_ends(low, high)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next((size * step for step in _STEPS if size * step >= raw), size * 10)
    first, last = math.ceil(low / step), math.floor(high / step)
    if not math.isfinite(step) or last - first > 4 * count:
        return _only_ends(low, high)
    ticks = []
    for number in range(first, last + 1):
        ticks.append(_tick(number * step))
    return tuple(ticks) if len(ticks) > 1 else _only_ends(low, high)


def _log_ticks(low: float, high: float, count: int) -> tuple[Tick, ...]:
    """Return the powers of ten, or multiples of them if the range has too few."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    every = max(1, math.ceil((last - first + 1) / count))
    powers = range(first, last + 1, every)
    if len(powers) >= 3:
        return tuple(_tick(10.0**power) for power in powers)
    multiples = []
    for power in range(first - 1, last + 1):
        for factor in (1, 2, 5):
            multiples.append(factor * 10.0**power)
    within = [value for value in multiples if low <= value <= high]
    if len(within) < 2:
        return _only_ends(low, high)
    return tuple(map(_tick, within))


def _only_ends(low: float, high: float) -> tuple[Tick, ...]:
    return Tick(low, f"{low:.6g}"), Tick(high, f"{high:.6g}")


def _tick(value: float) -> Tick:
    return Tick(value, f"{value + 0.0:.6g}")
