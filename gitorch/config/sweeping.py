"""The sweep of a config, read and laid over what its file asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from gitorch.config.document import KeyPath
from gitorch.config.parameters import Parameters, Refusal
from gitorch.config.reader import Reader
from gitorch.config.schema import hint_on
from gitorch.model.problem import Severity, has_errors
from gitorch.model.run.spec import RunSpec, render_value
from gitorch.model.sweep import Point, Sweep, at_point, comparable, parse_range
from gitorch.model.text.keys import Target
from gitorch.model.text.placeholders import placeholders_of
from gitorch.model.text.spelling import did_you_mean

_SWEEP = ("matrix", "zip", "exclude", "include")


class Expansion(NamedTuple):
    """The specs of all points; `samples` are those of them that differ in which placeholders can be filled in, or in
    what an output directory is called.
    """

    specs: tuple[RunSpec, ...] = ()
    samples: tuple[RunSpec, ...] = ()
    dimensions: tuple[
        str, ...
    ] = ()  # the swept keys, those that are taken together as one: "width+height"


class Sweeping:
    """Reads the sweep of a config; what is wrong with it is added to the reader's problems.

    `known` are the parameters that the files have themselves: a new one may be a near miss of these.
    """

    def __init__(self, reader: Reader, limit: int, known: Parameters) -> None:
        self._reader = reader
        self._limit = limit
        self._known = known

    def expansion_of(self, spec: RunSpec) -> Expansion:
        """Only `spec` where nothing is swept; nothing where the sweep is wrong."""
        sweep = Sweep(
            matrix=self._lists("matrix"),
            zipped=self._lists("zip"),
            exclude=[values for _, values in self._reader.items(("gitorch", "exclude"))],
            include=[values for _, values in self._reader.items(("gitorch", "include"))],
        )
        self._check_lists(sweep)
        places = self._places()
        self._check_excluded_keys(sweep)
        self._check_number(sweep)
        if not all(self._reader.is_sound(("gitorch", name)) for name in _SWEEP):
            return Expansion()
        if has_errors(self._reader.problems):
            return Expansion(samples=(self._sample(spec, sweep, places),))
        if not sweep.keys:
            return Expansion((spec,), (spec,))
        points = sweep.points()
        if not points:
            self._reader.complain(
                ("gitorch", "exclude"), "everything is excluded: there is nothing to run", key=True
            )
        specs = tuple(at_point(spec, point, places) for point in points)
        samples = tuple(specs[number] for number in _samples(spec, points, places))
        return Expansion(specs, samples, sweep.dimensions)

    def _sample(self, spec: RunSpec, sweep: Sweep, places: Mapping[str, Target]) -> RunSpec:
        """Some values for all keys, so that what else is wrong can be told although there are no points."""
        tasks = {None, *(task.id for task in spec.tasks)}  # without those whose id is no good
        values = {key: value for point in sweep.include for key, value in point.items()}
        values |= {key: listed[0] for key, listed in (*sweep.matrix.items(), *sweep.zipped.items())}
        point = {key: values.get(key) for key, place in places.items() if place.task in tasks}
        return at_point(spec, point, places)

    # What is listed

    def _lists(self, name: str) -> dict[str, Sequence[Any]]:
        lists: dict[str, Sequence[Any]] = {}
        for key, written in self._reader.items(("gitorch", name)):
            values = (
                written
                if isinstance(written, list)
                else self._range(("gitorch", name, key), written)
            )
            if values is not None:
                lists[key] = values
        return lists

    def _range(self, path: KeyPath, written: str) -> range | None:
        hint = hint_on("sweptValues")
        try:
            values = parse_range(written)
        except ValueError:
            self._reader.complain(path, "the step of a range cannot be 0", hint)
            return None
        if values is None and written.startswith("range("):
            hint = 'write it like range(1, 6); within braces, where a comma ends a text, quoted: "range(1, 6)"'
            self._reader.complain(path, f"'{written}' is no range", hint)
        elif values is None:
            self._reader.complain(
                path, f"'{path[-1]}' must be a list, not text", f"write [{written}]"
            )
        elif not values:
            self._reader.complain(path, f"{written} is empty", hint)
            return None
        return values

    def _check_lists(self, sweep: Sweep) -> None:
        for key in sweep.zipped.keys() & sweep.matrix.keys():
            self._reader.complain(
                ("gitorch", "zip", key), f"'{key}' is in 'matrix' too", "remove one", key=True
            )
        lengths = {key: len(values) for key, values in sweep.zipped.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            hint = "lists that are taken together are equally long; under 'matrix' every combination is made"
            self._reader.complain(
                ("gitorch", "zip"), f"the lists are of unequal length: {said}", hint, key=True
            )
            return
        for key, values in sweep.matrix.items():
            self._warn_of_twins(("gitorch", "matrix", key), [(value,) for value in _listed(values)])
        if sweep.zipped:
            rows = list(zip(*map(_listed, sweep.zipped.values()), strict=False))
            self._warn_of_twins(("gitorch", "zip", next(iter(sweep.zipped))), rows)

    def _warn_of_twins(self, path: KeyPath, rows: Sequence[tuple[Any, ...]]) -> None:
        seen = set()
        for index, row in enumerate(rows):
            known = comparable(list(row))
            if known in seen:
                values = ", ".join(map(render_value, row))
                message = f"{values} is listed twice, and makes one run"
                self._reader.complain((*path, index), message, severity=Severity.WARNING)
            seen.add(known)

    def _check_number(self, sweep: Sweep) -> None:
        if sweep.most > self._limit:
            message = f"the sweep has {sweep.most:,} points, more than gitorch.sweepLimit allows ({self._limit:,})"
            self._reader.complain(
                self._begin(), message, f"git config gitorch.sweepLimit {sweep.most}", key=True
            )

    def _begin(self) -> KeyPath:
        return next(
            ("gitorch", name) for name in _SWEEP if self._reader.document.node(("gitorch", name))
        )

    # The keys

    def _places(self) -> dict[str, Target]:
        """Where each swept key leads."""
        parameters = Parameters(self._reader.document.value)
        places: dict[str, Target] = {}
        first: dict[str, KeyPath] = {}
        for path in self._swept_keys():
            key = str(path[-1])
            place = parameters.place(key)
            if isinstance(place, Refusal):
                self._reader.complain(path, *place, key=True)
            elif key not in places:
                places[key], first[key] = place, path
                if warning := self._known.near_miss(place):
                    self._reader.complain(path, warning, key=True, severity=Severity.WARNING)
        self._check_apart(places, first)
        return places

    def _swept_keys(self) -> Iterator[KeyPath]:
        for name in ("matrix", "zip"):
            yield from (("gitorch", name, key) for key, _ in self._reader.items(("gitorch", name)))
        for index, values in self._reader.items(("gitorch", "include")):
            yield from (("gitorch", "include", index, key) for key in values)

    def _check_apart(self, places: Mapping[str, Target], first: Mapping[str, KeyPath]) -> None:
        """No swept key lies in another, or is hidden by one of a task."""
        in_order = sorted(places, key=lambda key: (places[key].task or "", places[key].path))
        for key, other in pairwise(in_order):
            outer, inner = places[key], places[other]
            if outer.task == inner.task and inner.path[: len(outer.path)] == outer.path:
                message = f"'{other}' lies in '{key}', which is swept too"
                self._reader.complain(first[other], message, "sweep one of them", key=True)
        of_tasks = {place.path[0]: key for key, place in places.items() if place.task is not None}
        for key, place in places.items():
            if place.task is None and (hidden := of_tasks.get(place.path[0])):
                message = f"'{hidden}' is swept too, and hides '{key}' from that task"
                self._reader.complain(first[key], message, "sweep one of them", key=True)

    def _check_excluded_keys(self, sweep: Sweep) -> None:
        for index, values in self._reader.items(("gitorch", "exclude")):
            for key in values:
                if key not in sweep.listed:
                    near = did_you_mean(key, sweep.listed)
                    message = f"'{key}' is in neither 'matrix' nor 'zip'{near}"
                    hint = "what is excluded are combinations of these; what 'include' adds comes after it"
                    self._reader.complain(
                        ("gitorch", "exclude", index, key), message, hint, key=True
                    )


def _listed(values: Sequence[Any]) -> Sequence[Any]:
    """A range holds nothing twice."""
    return () if isinstance(values, range) else values


def _samples(spec: RunSpec, points: Sequence[Point], places: Mapping[str, Target]) -> list[int]:
    """The numbers of the first points of each kind."""
    named = {hole.name.split(".")[0] for hole in placeholders_of(spec.output_dir or "")}
    naming = {key for key, place in places.items() if place.task is None and place.path[0] in named}
    found: dict[Any, int] = {}
    for number, point in enumerate(points):
        kind = tuple(
            (key, comparable(value) if key in naming else _form(value))
            for key, value in sorted(point.items())
        )
        found.setdefault(kind, number)
    return list(found.values())


def _form(value: Any) -> Any:
    """What decides whether a value can be filled in: the keys of a mapping, and a NUL in a text."""
    if isinstance(value, dict):
        return frozenset((key, _form(held)) for key, held in value.items())
    return isinstance(value, str) and "\0" in value
