"""Runs in groups, and their metrics in numbers: means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.model.run.metrics import is_number
from gitorch.model.run.status import Status
from gitorch.model.table.fields import Path, getter, render_path
from gitorch.model.table.row import Row
from gitorch.model.values import identity_key, sort_key


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float | None:
    """Of a sample (n - 1): one value has none."""
    mean = _mean(values)
    return (
        math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
        if len(values) > 1
        else None
    )


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float | None]] = {
    "mean": _mean,
    "std": _deviation,
    "min": min,
    "max": max,
    "count": len,
}


class Group(Struct, frozen=True, kw_only=True):
    """The runs that agree in `by`. Only COMPLETE ones count: `count` of them, of `runs` in all.

    `metrics` has, by name, the aggregates of those values that there are.
    """

    by: Mapping[str, Any]
    runs: int
    count: int
    metrics: Mapping[str, Mapping[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        return {
            "by": dict(self.by),
            "runs": self.runs,
            "count": self.count,
            "metrics": {name: dict(values) for name, values in self.metrics.items()},
        }


def grouped(rows: Iterable[Row], by: Sequence[Path], aggregates: Sequence[str]) -> list[Group]:
    """In the order of what they agree in; runs without a value come last."""
    getters = [getter(path) for path in by]
    members: dict[str, tuple[tuple[Any, ...], list[Row]]] = {}
    for row in rows:
        values = tuple(get(row) for get in getters)
        members.setdefault(identity_key(values), (values, []))[1].append(row)
    found = sorted(
        members.values(), key=lambda group: [(value is None, sort_key(value)) for value in group[0]]
    )
    return [
        _group(dict(zip(map(render_path, by), values, strict=True)), group, aggregates)
        for values, group in found
    ]


def _group(by: Mapping[str, Any], rows: Sequence[Row], aggregates: Sequence[str]) -> Group:
    complete = [row for row in rows if row.status is Status.COMPLETE]
    values: dict[str, list[float]] = {}
    for row in complete:
        for name, value in row.metrics.items():
            if is_number(value):
                values.setdefault(name, []).append(value)  # type: ignore[arg-type]
    return Group(
        by=by,
        runs=len(rows),
        count=len(complete),
        metrics={
            name: {aggregate: _aggregated(aggregate, numbers) for aggregate in aggregates}
            for name, numbers in values.items()
        },
    )


def _aggregated(aggregate: str, values: Sequence[float]) -> float | None:
    try:
        return AGGREGATES[aggregate](values)
    except OverflowError:  # of numbers that are too large to be added
        return None
