"""The sweep of a config, expanded into the specs of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from gitorch.config.document import KeyPath
from gitorch.config.parameters import KeyRefusal, Parameters
from gitorch.config.reader import Reader
from gitorch.config.schema import hint_on
from gitorch.model.problem import Severity, has_errors
from gitorch.model.run.spec import RunSpec, render_value
from gitorch.model.sweep import Point, Sweep, at_point, parse_range
from gitorch.model.text.keys import Target
from gitorch.model.text.placeholders import placeholders_of
from gitorch.model.text.spelling import did_you_mean
from gitorch.model.values import equality_key

_SETTINGS = ("matrix", "zip", "exclude", "include")


class Expansion(NamedTuple):
    """The specs of all points of a sweep.

    `samples` are some of the specs, and enough to check the placeholders of all specs. Two samples
    differ in the placeholders that can be filled in, or in the name of the output directory.
    `dimensions` are the swept keys. Keys that are swept together are one dimension, such as
    "width+height".
    """

    specs: tuple[RunSpec, ...] = ()
    samples: tuple[RunSpec, ...] = ()
    dimensions: tuple[str, ...] = ()


def expand(
    reader: Reader, spec: RunSpec, *, limit: int, written: Parameters
) -> Expansion:
    """Return the specs of all points of a config's sweep, or `spec` alone if nothing is swept.

    A sweep of more than `limit` points is an error. A sweep with an error has no specs. `written`
    holds the parameters before `-S` is applied. A new swept key whose name is close to that of one
    of these parameters causes a warning.
    """
    exclude = reader.children(("gitorch", "exclude"))
    include = reader.children(("gitorch", "include"))
    sweep = Sweep(
        matrix=_read_lists(reader, "matrix"),
        zipped=_read_lists(reader, "zip"),
        exclude=list(exclude.values()),
        include=list(include.values()),
    )
    _check_lists(reader, sweep)
    targets = _read_targets(reader, written)
    _check_excluded_keys(reader, sweep)
    _check_size(reader, sweep, limit)
    positions = [("gitorch", setting) for setting in _SETTINGS]
    if not all(map(reader.is_sound, positions)):
        return Expansion()
    if has_errors(reader.problems):
        return Expansion(samples=(_any_sample(spec, sweep, targets),))
    if not sweep.keys:
        return Expansion((spec,), (spec,))
    points = sweep.points()
    if not points:
        message = "everything is excluded: there is nothing to run"
        reader.complain(("gitorch", "exclude"), message, key=True)
    specs = tuple(at_point(spec, point, targets) for point in points)
    sample_numbers = _sample_numbers(spec, points, targets)
    samples = tuple(specs[number] for number in sample_numbers)
    return Expansion(specs, samples, sweep.dimensions)


# The lists of values


def _read_lists(reader: Reader, setting: str) -> dict[str, Sequence[Any]]:
    """Return the values of each key in `matrix` or `zip`."""
    lists: dict[str, Sequence[Any]] = {}
    for key, written in reader.children(("gitorch", setting)).items():
        values: Sequence[Any] | None = written
        if isinstance(written, str):
            values = _read_range(reader, ("gitorch", setting, key), written)
        if values is not None:
            lists[key] = values
    return lists


def _read_range(reader: Reader, position: KeyPath, written: str) -> range | None:
    """Return the range that a text describes. Complain and return None if there is none."""
    hint = hint_on("sweptValues")
    try:
        values = parse_range(written)
    except ValueError:
        reader.complain(position, "the step of a range cannot be 0", hint)
        return None
    if values:
        return values
    if values is not None:
        reader.complain(position, f"{written} is empty", hint)
    elif written.startswith("range("):
        hint = (
            "write it like range(1, 6); within braces, where a comma ends a text, "
            'quoted: "range(1, 6)"'
        )
        reader.complain(position, f"'{written}' is not a range", hint)
    else:
        message = f"'{position[-1]}' must be a list, not text"
        reader.complain(position, message, f"write [{written}]")
    return None


def _check_lists(reader: Reader, sweep: Sweep) -> None:
    for key in sweep.zipped.keys() & sweep.matrix.keys():
        message = f"'{key}' is in 'matrix' too"
        reader.complain(("gitorch", "zip", key), message, "remove one", key=True)
    lengths = set()
    shown = []
    for key, values in sweep.zipped.items():
        lengths.add(len(values))
        shown.append(f"{key} has {len(values)}")
    if len(lengths) > 1:
        message = f"the lists are of unequal length: {', '.join(shown)}"
        hint = (
            "lists that are taken together are equally long; "
            "under 'matrix' every combination is made"
        )
        reader.complain(("gitorch", "zip"), message, hint, key=True)
        return
    for key, values in sweep.matrix.items():
        rows = [(value,) for value in _that_may_repeat(values)]
        _warn_of_duplicates(reader, ("gitorch", "matrix", key), rows)
    if sweep.zipped:
        first_key = next(iter(sweep.zipped))
        columns = map(_that_may_repeat, sweep.zipped.values())
        rows = list(zip(*columns, strict=False))
        _warn_of_duplicates(reader, ("gitorch", "zip", first_key), rows)


def _that_may_repeat(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values, or none for a range, which has no duplicates and may be very long."""
    if isinstance(values, range):
        return ()
    return values


def _warn_of_duplicates(
    reader: Reader, position: KeyPath, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Warn of values, or of values taken together, that are listed twice."""
    seen = set()
    for index, row in enumerate(rows):
        key = equality_key(list(row))
        if key in seen:
            values = ", ".join(map(render_value, row))
            message = f"{values} is listed twice, and makes one run"
            reader.complain((*position, index), message, severity=Severity.WARNING)
        seen.add(key)


def _check_size(reader: Reader, sweep: Sweep, limit: int) -> None:
    if sweep.most <= limit:
        return
    message = (
        f"the sweep has {sweep.most:,} points, "
        f"more than gitorch.sweepLimit allows ({limit:,})"
    )
    hint = f"git config gitorch.sweepLimit {sweep.most}"
    for setting in _SETTINGS:
        if reader.document.node(("gitorch", setting)):
            reader.complain(("gitorch", setting), message, hint, key=True)
            return


# The keys


def _read_targets(reader: Reader, written: Parameters) -> dict[str, Target]:
    """Return the target of each swept key."""
    parameters = Parameters(reader.document.value)
    targets: dict[str, Target] = {}
    positions: dict[str, KeyPath] = {}
    for position in _positions_of_keys(reader):
        key = str(position[-1])
        target = parameters.target(key)
        if isinstance(target, KeyRefusal):
            reader.complain(position, *target, key=True)
        elif key not in targets:
            targets[key] = target
            positions[key] = position
            warning = written.near_miss(target)
            if warning:
                reader.complain(
                    position, warning, key=True, severity=Severity.WARNING
                )
    _check_overlaps(reader, targets, positions)
    return targets


def _positions_of_keys(reader: Reader) -> Iterator[KeyPath]:
    for setting in ("matrix", "zip"):
        for key in reader.children(("gitorch", setting)):
            yield ("gitorch", setting, key)
    for index, values in reader.children(("gitorch", "include")).items():
        for key in values:
            yield ("gitorch", "include", index, key)


def _check_overlaps(
    reader: Reader, targets: Mapping[str, Target], positions: Mapping[str, KeyPath]
) -> None:
    """Complain about swept keys that lie inside another one, or that a task's key hides."""

    def by_target(key: str) -> tuple[str, tuple[str, ...]]:
        task, path = targets[key]
        return task or "", path

    # In this order, a key follows the key that it lies inside.
    for outer_key, inner_key in pairwise(sorted(targets, key=by_target)):
        outer, inner = targets[outer_key], targets[inner_key]
        is_inside = inner.path[: len(outer.path)] == outer.path
        if outer.task == inner.task and is_inside:
            message = f"'{inner_key}' lies in '{outer_key}', which is swept too"
            reader.complain(
                positions[inner_key], message, "sweep one of them", key=True
            )
    of_tasks: dict[str, str] = {}
    for key, target in targets.items():
        if target.task is not None:
            of_tasks[target.path[0]] = key
    for key, target in targets.items():
        hiding_key = of_tasks.get(target.path[0])
        if target.task is None and hiding_key:
            message = (
                f"'{hiding_key}' is swept too, and hides '{key}' from that task"
            )
            reader.complain(positions[key], message, "sweep one of them", key=True)


def _check_excluded_keys(reader: Reader, sweep: Sweep) -> None:
    hint = "'exclude' lists combinations of these; what 'include' adds is added afterwards"
    for index, values in reader.children(("gitorch", "exclude")).items():
        for key in values:
            if key not in sweep.listed:
                near = did_you_mean(key, sweep.listed)
                message = f"'{key}' is in neither 'matrix' nor 'zip'{near}"
                reader.complain(
                    ("gitorch", "exclude", index, key), message, hint, key=True
                )


# Samples, so that placeholders need not be checked in every spec


def _any_sample(
    spec: RunSpec, sweep: Sweep, targets: Mapping[str, Target]
) -> RunSpec:
    """Return the spec with any value for every swept key.

    With this spec, later passes find more problems, although an invalid sweep has no points.
    """
    values: dict[str, Any] = {}
    for point in sweep.include:
        values.update(point)
    for lists in (sweep.matrix, sweep.zipped):
        for key, listed in lists.items():
            values[key] = listed[0]
    valid_ids = {task.id for task in spec.tasks}
    sample: dict[str, Any] = {}
    for key, target in targets.items():
        if target.task is None or target.task in valid_ids:
            sample[key] = values.get(key)
    return at_point(spec, sample, targets)


def _sample_numbers(
    spec: RunSpec, points: Sequence[Point], targets: Mapping[str, Target]
) -> list[int]:
    """Return the numbers of the points to check, which are the first of every kind.

    Two points are of the same kind if they have the same keys, if the values of these keys have
    the same shape, and if the keys that outputDir names have the same values.
    """
    names_in_output_dir = set()
    for placeholder in placeholders_of(spec.output_dir or ""):
        name, _, _ = placeholder.name.partition(".")
        names_in_output_dir.add(name)
    keys_in_output_dir = set()
    for key, target in targets.items():
        if target.task is None and target.path[0] in names_in_output_dir:
            keys_in_output_dir.add(key)
    first_of_kind: dict[Any, int] = {}
    for number, point in enumerate(points):
        kind = []
        for key, value in sorted(point.items()):
            form = _shape(value)
            if key in keys_in_output_dir:
                form = equality_key(value)
            kind.append((key, form))
        first_of_kind.setdefault(tuple(kind), number)
    return list(first_of_kind.values())


def _shape(value: Any) -> Any:
    """Return the facts that decide if a value can be filled in: its keys, and NUL characters."""
    if isinstance(value, dict):
        return frozenset((key, _shape(held)) for key, held in value.items())
    return isinstance(value, str) and "\0" in value
