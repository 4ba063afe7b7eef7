"""What a sweep comes to: its points, each a value for some keys.

The rules are those of GitHub Actions (docs.github.com, "Running variations of jobs in a workflow"), and lists that are
taken together besides.
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
    """`matrix`: every combination, the last key's values fastest. `zipped`: lists of one length, taken together as one
    more dimension. `exclude`: combinations with these values are left out. `include`: what is added to every original
    combination none of whose values it would change; what fits none is a point of its own.
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
        """What is varied independently: `lr`, and `width+height` taken together; of `include` alone its keys."""
        return (*self.matrix, *(["+".join(self.zipped)] if self.zipped else [])) or (
            "+".join(self.keys),
        )

    @property
    def most(self) -> int:
        """How many points there can be at most: reckoned without making any."""
        return self._combination_count + len(self.include)

    @property
    def _combination_count(self) -> int:
        if not self.listed:
            return 0
        return prod(map(len, self.matrix.values())) * min(map(len, self.zipped.values()), default=1)

    def points(self) -> list[Point]:
        """The points in their order, each once."""
        originals = self._left()
        points = [dict(original) for original in originals]
        fitting = _Index(originals)
        for extra in self.include:
            fixed = [key for key in self.listed if key in extra]
            found = fitting.of({key: extra[key] for key in fixed})
            for number in found:
                points[number].update(extra)
            if not found:
                points.append(dict(extra))
        once: dict[Any, Point] = {}
        for point in points:
            once.setdefault(equality_key(point), point)
        return list(once.values())

    def _combinations(self) -> Iterator[Point]:
        if not self.listed:
            return
        together: Iterable[tuple[Any, ...]] = (
            zip(*self.zipped.values(), strict=True) if self.zipped else [()]
        )
        for *values, last in itertools.product(*self.matrix.values(), together):
            yield dict(zip(self.listed, (*values, *last), strict=True))

    def _left(self) -> list[Point]:
        """The combinations that nothing excludes."""
        combinations = list(self._combinations())
        index = _Index(combinations)
        excluded = {number for values in self.exclude for number in index.of(values)}
        return [point for number, point in enumerate(combinations) if number not in excluded]


class _Index:
    """Points found by some of their values, without looking at all of them each time."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._by_values: dict[tuple[str, ...], dict[Any, list[int]]] = {}

    def of(self, values: Point) -> Sequence[int]:
        """The numbers of the points that have these values."""
        keys = tuple(sorted(values))
        if keys not in self._by_values:
            found = self._by_values[keys] = {}
            for number, point in enumerate(self._points):
                found.setdefault(_projected(point, keys), []).append(number)
        return self._by_values[keys].get(_projected(values, keys), ())


def _projected(point: Point, keys: Iterable[str]) -> tuple[Any, ...]:
    return tuple(equality_key(point[key]) for key in keys)


def parse_range(text: str) -> range | None:
    """`range(1,6)`, with Python's meaning; None where the text is none. ValueError: its step is 0."""
    match = _RANGE.fullmatch(text.strip())
    return range(*(int(number) for number in match.groups() if number)) if match else None


def at_point(spec: RunSpec, point: Point, places: Mapping[str, Target]) -> RunSpec:
    """`spec` with the values of a point laid over it; `places` says where each key leads."""
    document: dict[str, Any] = dict(spec.document)
    tasks = list(spec.tasks)
    for key, value in point.items():
        task_id, path = places[key]
        if task_id is None:
            document = with_value(document, path, value)
            continue
        number = next(number for number, task in enumerate(tasks) if task.id == task_id)
        tasks[number] = replace(tasks[number], params=with_value(tasks[number].params, path, value))
        listed = list(document["tasks"])
        listed[number] = with_value(listed[number], path, value)
        document["tasks"] = listed
    return replace(spec, document=document, tasks=tuple(tasks), swept=tuple(point))
