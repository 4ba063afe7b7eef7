"""Sweeps: the points that lists of values make, each a value for some keys.

The rules are those of GitHub Actions (docs.github.com, "Running variations of jobs in a workflow"),
with one addition: lists whose values are taken together.
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
    `include`: values that are added to every original combination that has no other value for one
    of the keys. If there is no such combination, they are a point of their own.
    """

    matrix: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    zipped: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    exclude: Sequence[Point] = ()
    include: Sequence[Point] = ()

    @property
    def listed(self) -> tuple[str, ...]:
        """The keys that every original combination has."""
        return (*self.matrix, *self.zipped)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that some point has."""
        return tuple(dict.fromkeys((*self.listed, *itertools.chain.from_iterable(self.include))))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The keys that vary independently; those that vary together are one: `width+height`.

        If there is nothing but `include`, its keys are one dimension.
        """
        dimensions = list(self.matrix)
        if self.zipped:
            dimensions.append("+".join(self.zipped))
        return tuple(dimensions) or ("+".join(self.keys),)

    @property
    def most(self) -> int:
        """The largest possible number of points, computed without making any."""
        return self._combination_count + len(self.include)

    @property
    def _combination_count(self) -> int:
        if not self.listed:
            return 0
        of_matrix = prod(len(values) for values in self.matrix.values())
        return of_matrix * min(map(len, self.zipped.values()), default=1)

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
        """Return the combinations that nothing excludes."""
        combinations = list(self._combinations())
        index = _PointIndex(combinations)
        excluded: set[int] = set()
        for values in self.exclude:
            excluded.update(index.find(values))
        return [point for number, point in enumerate(combinations) if number not in excluded]

    def _combinations(self) -> Iterator[Point]:
        if not self.listed:
            return
        together: Iterable[tuple[Any, ...]] = [()]
        if self.zipped:
            together = zip(*self.zipped.values(), strict=True)
        for *values, last in itertools.product(*self.matrix.values(), together):
            yield dict(zip(self.listed, (*values, *last), strict=True))


class _PointIndex:
    """Points that can be found by some of their values, without a search through all of them.

    An index over a set of keys is made when it is first needed: 10,000 points with 100 exclusions
    would otherwise take a million comparisons.
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
    """Return the range that a text like `range(1,6)` means in Python; None if it is not a range.

    Raises ValueError if the step is 0.
    """
    match = _RANGE.fullmatch(text.strip())
    if not match:
        return None
    return range(*(int(number) for number in match.groups() if number))


def at_point(spec: RunSpec, point: Point, targets: Mapping[str, Target]) -> RunSpec:
    """Return `spec` with the values of a point; `targets` says what each key leads to."""
    document: dict[str, Any] = dict(spec.document)
    tasks = list(spec.tasks)
    for key, value in point.items():
        task_id, path = targets[key]
        if task_id is None:
            document = with_value(document, path, value)
            continue
        index = next(index for index, task in enumerate(tasks) if task.id == task_id)
        tasks[index] = replace(tasks[index], params=with_value(tasks[index].params, path, value))
        task_documents = list(document["tasks"])
        task_documents[index] = with_value(task_documents[index], path, value)
        document["tasks"] = task_documents
    return replace(spec, document=document, tasks=tuple(tasks), swept=tuple(point))
