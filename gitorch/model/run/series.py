"""The series of a metric: all values that a task has reported, with their steps and times.

A series is kept in the order in which it was measured. Its steps need neither be there nor ascend:
several processes may report to one metric, and a program that restarts itself repeats steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Self

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.numbers import is_number, measured

EVENT_SOURCE = "events"

Number = int | float | None


class SeriesPoint(NamedTuple):
    """One value. `seconds` is Unix time. None: no step was given, no time, or no finite value."""

    step: Number
    value: Number
    seconds: Number


class Series(JsonStruct, frozen=True, kw_only=True):
    """A metric's values with their steps and times, each list of the same length.

    `total` is the number of values that were reported. There are fewer here if the series was
    reduced: see `runner/reduction.py`.
    """

    name: str
    total: int
    steps: tuple[Number, ...]
    times: tuple[Number, ...]
    values: tuple[Number, ...]
    source: str = always(EVENT_SOURCE)  # or the kind of the file: csv, log, …

    @classmethod
    def of(
        cls,
        name: str,
        points: Iterable[SeriesPoint],
        *,
        total: int | None = None,
        source: str = EVENT_SOURCE,
    ) -> Self:
        steps, values, times = [], [], []
        for step, value, seconds in points:
            steps.append(step)
            values.append(value)
            times.append(seconds)
        return cls(
            name=name,
            total=len(values) if total is None else total,
            steps=tuple(steps),
            times=tuple(times),
            values=tuple(values),
            source=source,
        )

    @property
    def points(self) -> Iterator[SeriesPoint]:
        for point in zip(self.steps, self.values, self.times, strict=True):
            yield SeriesPoint(*point)

    @property
    def is_reduced(self) -> bool:
        return self.total > len(self.values)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the series with this JSON. Raises ValueError if its lists differ in length."""
        series = super().from_json(value)
        if not len(series.steps) == len(series.times) == len(series.values):
            raise ValueError("its lists differ in length")
        return series


def bounded(value: Any) -> Number:
    """Return a number from outside as JSON can hold it; None for everything else."""
    return measured(value) if is_number(value) else None
