"""Groups of runs, with statistics of their metrics: for example, means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.model.numbers import is_number
from gitorch.model.run.status import Status
from gitorch.model.table.fields import Path, getter, render_path
from gitorch.model.table.row import Row
from gitorch.model.values import identity_key, sort_key


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample (n - 1), or None for a single value."""
    if len(values) < 2:
        return None
    mean = _mean(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1))


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float | None]] = {
    "mean": _mean,
    "std": _deviation,
    "min": min,
    "max": max,
    "count": len,
}


class Group(Struct, frozen=True, kw_only=True):
    """The runs that have identical values in the fields `by`.

    `runs` is the number of runs. `count` is the number of those that count: the COMPLETE runs that
    are not invalid, and of those with the same identity only the first. `left_out` is the number of
    the other COMPLETE runs, which are reruns and verifications, or invalid. `metrics` holds the
    aggregates of each metric over the runs that count.
    """

    by: Mapping[str, Any]
    runs: int
    count: int
    left_out: int
    invalid: int  # of those that are left out
    metrics: Mapping[str, Mapping[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        metrics = {name: dict(values) for name, values in self.metrics.items()}
        return {
            "by": dict(self.by),
            "runs": self.runs,
            "count": self.count,
            "left_out": self.left_out,
            "invalid": self.invalid,
            "metrics": metrics,
        }


def grouped(
    rows: Iterable[Row], by: Sequence[Path], aggregates: Sequence[str]
) -> list[Group]:
    """Return the groups of `rows`, sorted by the values of `by`. A missing value is sorted last."""
    getters = [getter(path) for path in by]
    values_by_key: dict[str, tuple[Any, ...]] = {}
    rows_by_key: dict[str, list[Row]] = {}
    for row in rows:
        values = tuple(get(row) for get in getters)
        key = identity_key(values)
        values_by_key[key] = values
        rows_by_key.setdefault(key, []).append(row)

    def order_of(key: str) -> list[tuple[bool, tuple[int, Any]]]:
        return [(value is None, sort_key(value)) for value in values_by_key[key]]

    names = list(map(render_path, by))
    groups = []
    for key in sorted(rows_by_key, key=order_of):
        values_by_name = dict(zip(names, values_by_key[key], strict=True))
        groups.append(_group(values_by_name, rows_by_key[key], aggregates))
    return groups


def _group(
    by: Mapping[str, Any], rows: Sequence[Row], aggregates: Sequence[str]
) -> Group:
    complete = [row for row in rows if row.status is Status.COMPLETE]
    trusted = [row for row in complete if row.invalid is None]
    counted = _first_of_each(trusted)
    metrics: dict[str, dict[str, float | None]] = {}
    for name, numbers in _numbers_by_metric(counted).items():
        metrics[name] = {
            aggregate: _aggregated(aggregate, numbers) for aggregate in aggregates
        }
    return Group(
        by=by,
        runs=len(rows),
        count=len(counted),
        left_out=len(complete) - len(counted),
        invalid=len(complete) - len(trusted),
        metrics=metrics,
    )


def _first_of_each(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without those that repeat an earlier one: a repetition is not a sample."""
    first: dict[str, Row] = {}
    for row in rows:
        known = first.get(row.identity)
        if known is None or row.order < known.order:
            first[row.identity] = row
    return [row for row in rows if first[row.identity] is row]


def _numbers_by_metric(rows: Iterable[Row]) -> dict[str, list[float]]:
    numbers_by_metric: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.metrics.items():
            if is_number(value):
                numbers_by_metric.setdefault(name, []).append(value)
    return numbers_by_metric


def _aggregated(aggregate: str, values: Sequence[float]) -> float | None:
    try:
        return AGGREGATES[aggregate](values)
    except OverflowError:  # the numbers are too large to be added
        return None
