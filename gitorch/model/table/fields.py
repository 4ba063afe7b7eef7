"""The fields of a run by the names that people write: its columns, `params.…` and `metrics.…`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from gitorch.errors import UsageError
from gitorch.model.table.row import Row
from gitorch.model.values import sort_key, value_at

# The columns that every run has, in the order in which all tables and messages name them.
TIMES = ("created", "started", "ended")
OWN = ("id", "name", "label", "status", "commit", *TIMES, "duration_s")
KINDS = ("params", "metrics")

# `list` has shorter titles for some columns, which can be named too.
_TITLES = {"took": "duration_s"}

# Fields have short names, so a name may differ more from what was meant than other words may.
_ALIKE = 0.7

Item = TypeVar("Item")
Path = tuple[str, ...]  # ("status",), ("params", "optimizer", "lr"), ("metrics", "test.f1")
Getter = Callable[[Row], Any]


def getter(path: Path) -> Getter:
    """Return a function that returns a run's value of a field, or None if the run has none."""
    match path:
        case ("params", key):
            return lambda row: row.params.get(key)
        case ("params", *keys):
            return lambda row: _parameter(row.params, keys)
        case ("metrics", *keys):
            name = ".".join(keys)
            return lambda row: row.metrics.get(name)
        case (own,):
            return lambda row: getattr(row, own)
    raise ValueError(path)


def is_field(path: Path) -> bool:
    """Return True if a run may have a field at this path."""
    return path[0] in KINDS if len(path) > 1 else path[0] in OWN


def field(name: str, rows: Iterable[Row], *, prefer: str | None = None) -> Path:
    """Return the field that `name` means among `rows`: its whole path, or an unambiguous end of it.

    `prefer`, one of KINDS, decides between a parameter and a metric of the same name. If there are
    no runs, every path that a run may have is a field. Raises UsageError.
    """
    if name in OWN or name in _TITLES:
        return (_TITLES.get(name, name),)
    known = known_fields(rows)
    path = tuple(name.split("."))
    if path in known or (not known and is_field(path)):
        return path
    if prefer and (prefer, *path) in known:
        return (prefer, *path)
    candidates = meant(name, known)
    if len(candidates) == 1 and _ends_with(candidates[0], name):
        return candidates[0]
    if candidates:
        hint = f"did you mean {' or '.join(map(render_path, candidates))}?"
    else:
        hint = f"the columns are: {', '.join([*OWN, *map(render_path, known)])}"
    raise UsageError(f"there is no column {name!r}", hint)


def sorted_by(
    items: Iterable[Item], keys: Sequence[tuple[Callable[[Item], Any], bool]]
) -> list[Item]:
    """Return `items` sorted by the first key, then by the next.

    A key is a function and True to sort from high to low. In both orders None comes last.
    """
    ordered = list(items)
    for get, is_descending in reversed(keys):  # sorting is stable, so the first key is applied last
        without_value = [item for item in ordered if get(item) is None]
        with_value = [item for item in ordered if get(item) is not None]
        with_value.sort(key=lambda item, get=get: sort_key(get(item)), reverse=is_descending)  # type: ignore[misc]
        ordered = with_value + without_value
    return ordered


def known_fields(rows: Iterable[Row]) -> list[Path]:
    """Return the params and metrics that any of these runs has, each once.

    For a mapping in params, both its own path and the paths of its values are returned.
    """
    params: dict[Path, None] = {}
    metrics: dict[Path, None] = {}
    for row in rows:
        params |= dict.fromkeys(("params", *path) for path in _paths(row.params))
        metrics |= dict.fromkeys(("metrics", name) for name in row.metrics)
    return [*params, *metrics]


def meant(name: str, known: Sequence[Path]) -> list[Path]:
    """Return the fields that `name` may mean: those that end with it, or those named like it."""
    ending = [path for path in known if _ends_with(path, name)]
    if ending:
        return ending
    from gitorch.model.text.spelling import similar  # noqa: PLC0415  difflib: only for a wrong name

    by_name: dict[str, Path] = {own: (own,) for own in OWN}
    for path in known:
        by_name[".".join(path)] = path
    by_last_key = {path[-1]: path for path in by_name.values()}
    names = similar(name, [*by_name, *by_last_key], most=2, alike=_ALIKE)
    return list(dict.fromkeys(by_name.get(near) or by_last_key[near] for near in names))


def render_path(path: Path) -> str:
    """Return a path as an expression has it: `params.lr`, `params["odd key"]`."""
    first, *keys = path
    text = first
    for key in keys:
        text += f".{key}" if _is_plain(key) else f'["{key}"]'
    return text


def _ends_with(path: Path, name: str) -> bool:
    """Return True if `name` is the path, the path without its kind, or its last key."""
    return name in (path[-1], ".".join(path[1:]), ".".join(path))


def _is_plain(key: str) -> bool:
    return all(part.replace("-", "_").isidentifier() or part.isalnum() for part in key.split("."))


def _parameter(params: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the value of a dotted name, which may be the name of one parameter or a path."""
    whole = params.get(".".join(keys))
    return value_at(params, keys) if whole is None else whole


def _paths(values: Mapping[str, Any]) -> Iterable[Path]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, Mapping):
            for path in _paths(value):
                yield (key, *path)
