"""Sweeps: lists of values for some keys, expanded to points. A point has a value for each key.

The rules are those of GitHub Actions (docs.github.com, "Running variations of jobs in a workflow"),
with one addition: `zipped`, lists whose values are taken together.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from gitorch.model.run.spec import RunSpec
from gitorch.model.text.keys import Target
from gitorch.model.values import equality_key, with_value

LIMIT = 10_000

Point = Mapping[str, Any]

_INTEGER = r"\s*([-+]?[0-9]{1,15})\s*"
_RANGE = re.compile(rf"range\({_INTEGER}(?:,{_INTEGER}(?:,{_INTEGER})?)?\)")


class Sweep(Struct, frozen=True, kw_only=True):
    """The lists of a sweep.

    `matrix`: every combination of values is a point; the last key's values change fastest.
    `zipped`: lists of one length, whose values are taken together as one more dimension.
    `exclude`: combinations with these values are left out.
    `include`: values that are added to every combination which they do not contradict, in the keys
    of `matrix` and `zipped`. If they contradict all combinations, they are a point of their own.
    """

    matrix: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    zipped: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    exclude: Sequence[Point] = ()
    include: Sequence[Point] = ()

    @property
    def listed(self) -> tuple[str, ...]:
        """Return the keys that every combination has."""
        return (*self.matrix, *self.zipped)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return all keys that at least one point has."""
        keys = dict.fromkeys(self.listed)
        for extra in self.include:
            keys |= dict.fromkeys(extra)
        return tuple(keys)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return the keys that vary independently. Keys that vary together are one: `width+height`.

        If the sweep has only `include`, its keys are one dimension.
        """
        dimensions = list(self.matrix)
        if self.zipped:
            dimensions.append("+".join(self.zipped))
        return tuple(dimensions) or ("+".join(self.keys),)

    @property
    def most(self) -> int:
        """Return the largest possible number of points without computing the points."""
        return self._combination_count + len(self.include)

    @property
    def _combination_count(self) -> int:
        if not self.listed:
            return 0
        count_in_matrix = prod(map(len, self.matrix.values()))
        count_in_zipped = min(map(len, self.zipped.values()), default=1)
        return count_in_matrix * count_in_zipped

    def points(self) -> list[Point]:
        """Return the points in their order, without duplicates."""
        originals = self._originals()
        points = [dict(original) for original in originals]
        index = _PointIndex(originals)
        for extra in self.include:
            fixed = {key: extra[key] for key in self.listed if key in extra}
            fitting = index.find(fixed)
            for number in fitting:
                points[number].update(extra)
            if not fitting:
                points.append(dict(extra))
        unique: dict[Any, Point] = {}
        for point in points:
            unique.setdefault(equality_key(point), point)
        return list(unique.values())

    def _originals(self) -> list[Point]:
        """Return the combinations that `exclude` does not leave out."""
        combinations = list(self._combinations())
        index = _PointIndex(combinations)
        excluded: set[int] = set()
        for values in self.exclude:
            excluded.update(index.find(values))
        return [
            point
            for number, point in enumerate(combinations)
            if number not in excluded
        ]

    def _combinations(self) -> Iterator[Point]:
        if not self.listed:
            return
        rows_of_zipped: Iterable[tuple[Any, ...]] = [()]
        if self.zipped:
            rows_of_zipped = zip(*self.zipped.values(), strict=True)
        for *values, zipped_values in itertools.product(
            *self.matrix.values(), rows_of_zipped
        ):
            combination = (*values, *zipped_values)
            yield dict(zip(self.listed, combination, strict=True))


class _PointIndex:
    """An index that finds points by some of their values.

    The index over a set of keys is built when it is first needed. Without it, 10,000 points with
    100 exclusions would take a million comparisons.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._by_values: dict[tuple[str, ...], dict[Any, list[int]]] = {}

    def find(self, values: Point) -> Sequence[int]:
        """Return the numbers of the points that have these values."""
        keys = tuple(sorted(values))
        numbers = self._by_values.get(keys)
        if numbers is None:
            numbers = self._by_values[keys] = {}
            for number, point in enumerate(self._points):
                numbers.setdefault(_values_of(point, keys), []).append(number)
        return numbers.get(_values_of(values, keys), ())


def _values_of(point: Point, keys: Iterable[str]) -> tuple[Any, ...]:
    return tuple(equality_key(point[key]) for key in keys)


def parse_range(text: str) -> range | None:
    """Return the range that a text such as `range(1,6)` means in Python, or None for other texts.

    Raises ValueError if the step is 0.
    """
    match = _RANGE.fullmatch(text.strip())
    if not match:
        return None
    arguments = [int(number) for number in match.groups() if number]
    return range(*arguments)


def at_point(spec: RunSpec, point: Point, targets: Mapping[str, Target]) -> RunSpec:
    """Return `spec` with the values of a point. `targets` has the parameter that each key names."""
    document: dict[str, Any] = dict(spec.document)
    tasks = list(spec.tasks)
    task_ids = [task.id for task in tasks]
    for key, value in point.items():
        task_id, path = targets[key]
        if task_id is None:
            document = with_value(document, path, value)
            continue
        index = task_ids.index(task_id)
        task = tasks[index]
        tasks[index] = replace(task, params=with_value(task.params, path, value))
        task_documents = list(document["tasks"])
        task_documents[index] = with_value(task_documents[index], path, value)
        document["tasks"] = task_documents
    return replace(spec, document=document, tasks=tuple(tasks), swept=tuple(point))
