"""Curves of a plot, made from series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitorch.model.run.series import Number, Series


class Curve(NamedTuple):
    """A line through points, from left to right. A y of None is a gap."""

    label: str
    points: Sequence[tuple[float, float | None]]


class Panel(NamedTuple):
    """One plot: curves with common axes."""

    title: str
    x_label: str
    curves: Sequence[Curve]


def curve_of(series: Series, label: str, *, by_time: bool = False) -> Curve:
    """Return the curve of a series over its steps, or over the seconds since its first value.

    If a step or a time is missing, the values are counted instead.
    """
    places = _seconds(series.times) if by_time else list(series.steps)
    if None in places:
        places = list(range(1, len(places) + 1))
    points = []
    for x, value in zip(places, series.values, strict=True):
        points.append((float(x or 0), None if value is None else float(value)))
    points.sort(
        key=_x
    )  # stable: the order of measurement decides between equal steps
    return Curve(label, points)


def has_curve(series: Series) -> bool:
    """Return True if a series has two values that can be drawn."""
    return sum(value is not None for value in series.values) > 1


def segments(
    points: Sequence[tuple[float, float | None]], *, log_x: bool, log_y: bool
) -> list[list[tuple[float, float]]]:
    """Return the parts of a curve between its gaps. Logarithmic axes have positive values only."""
    parts: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None or (log_y and y <= 0) or (log_x and x <= 0):
            if parts[-1]:
                parts.append([])
        else:
            parts[-1].append((x, y))
    return [part for part in parts if part]


def _x(point: tuple[float, float | None]) -> float:
    return point[0]


def _seconds(times: Sequence[Number]) -> list[Number]:
    """Return the seconds since the first time."""
    if not times or None in times:
        return list(times)
    known = [time or 0 for time in times]
    first = min(known)
    return [time - first for time in known]
