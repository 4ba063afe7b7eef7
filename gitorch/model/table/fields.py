"""The fields of a run, found by the names that people write: columns, `params.…`, `metrics.…`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from gitorch.errors import UsageError
from gitorch.model.table.row import Row
from gitorch.model.values import sort_key, value_at

# The columns that every run has, in the order of all tables and messages.
TIMES = ("created", "started", "ended")
OWN = (
    "id",
    "name",
    "label",
    "status",
    "commit",
    *TIMES,
    "duration_s",
    "rerun_of",
    "verified",
    "invalid",
)
KINDS = ("params", "metrics")

# The shorter titles that `list` gives to some columns. They are names of these columns too.
TITLES = {"took": "duration_s"}

# How similar a name must be to be a misspelt field. Names of fields are short, so one typo changes
# more of such a name than of other words.
_ALIKE = 0.7

Item = TypeVar("Item")
Path = tuple[
    str, ...
]  # ("status",), ("params", "optimizer", "lr"), ("metrics", "test.f1")
Getter = Callable[[Row], Any]


def getter(path: Path) -> Getter:
    """Return a function that returns a run's value of a field, or None if the run has none."""
    match path:
        case ("params", "tasks", *keys):
            return lambda row: _parameter(row.all_params, ["tasks", *keys])
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
    """Return the field of `rows` that has this name (see `named`). Raises UsageError.

    `prefer`, one of KINDS, decides between a parameter and a metric of the same name. If the rows
    have neither params nor metrics, every path that a run may have is a field.
    """
    if own := own_field(name):
        return own
    known = known_fields(rows)
    path = tuple(name.split("."))
    if not known and is_field(path):
        return path
    candidates = named(name, known)
    if len(candidates) > 1 and prefer:
        candidates = [
            path for path in candidates if path[0] == prefer
        ] or candidates
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise UsageError(
            f"the column {name!r} is ambiguous", did_you_mean(candidates)
        )
    if similar := meant(name, known):
        hint = did_you_mean(similar)
    else:
        existing = [*OWN, *map(render_path, known)]
        hint = f"the columns are: {', '.join(existing)}"
    raise UsageError(f"there is no column {name!r}", hint)


def own_field(name: str) -> Path | None:
    """Return the column that every run has by this name or title, None if there is none."""
    own = TITLES.get(name, name)
    return (own,) if own in OWN else None


def named(name: str, known: Iterable[Path]) -> list[Path]:
    """Return the params and metrics that `name` names. It is ambiguous if there are several.

    A whole path, such as `params.lr`, takes precedence over a path without its kind, such as `lr`.
    That takes precedence over the end of a path: `lr` of `optimizer.lr`, `acc` of `validation/acc`.
    """
    without_kind = []
    ends = []
    for path in known:
        if name == ".".join(path):
            return [path]
        dotted_name = ".".join(path[1:])
        if name == dotted_name:
            without_kind.append(path)
        elif dotted_name.endswith((f".{name}", f"/{name}")):
            ends.append(path)
    return without_kind or ends


def metric_named(name: str, metrics: Iterable[str]) -> str | None:
    """Return the metric that `name` names, None if there is none. Raises UsageError."""
    found = named(name, [("metrics", metric) for metric in metrics])
    if len(found) > 1:
        raise UsageError(f"the metric {name!r} is ambiguous", did_you_mean(found))
    return found[0][1] if found else None


def did_you_mean(paths: Iterable[Path]) -> str:
    """Return the hint that asks for one of these fields."""
    return f"did you mean {' or '.join(map(render_path, paths))}?"


def sorted_by(
    items: Iterable[Item], keys: Sequence[tuple[Callable[[Item], Any], bool]]
) -> list[Item]:
    """Return `items` sorted by the first key. Items with equal values are sorted by the next key.

    Each key is a function and a flag: True sorts from high to low. None comes last in both orders.
    """
    ordered = list(items)
    for get, is_descending in reversed(
        keys
    ):  # sorting is stable, so the first key is applied last
        ordered = _sorted_by_one(ordered, get, is_descending=is_descending)
    return ordered


def _sorted_by_one(
    items: Iterable[Item], get: Callable[[Item], Any], *, is_descending: bool
) -> list[Item]:
    with_value = []
    without_value = []
    for item in items:
        value = get(item)
        if value is None:
            without_value.append(item)
        else:
            with_value.append((sort_key(value), item))
    with_value.sort(key=itemgetter(0), reverse=is_descending)
    return [item for _, item in with_value] + without_value


class KnownRows(list[Row]):
    """Rows with the fields that they have, which takes long to find out for many rows."""

    def __init__(self, rows: Iterable[Row], fields: Iterable[Path]) -> None:
        super().__init__(rows)
        self.fields = list(fields)


def known_fields(rows: Iterable[Row]) -> list[Path]:
    """Return the path of each param and metric that at least one of these runs has.

    A mapping in params has a path, and so has each of its values.
    """
    if isinstance(rows, KnownRows):
        return rows.fields
    params: dict[str, object] = {}
    metrics: dict[str, object] = {}
    deeper: dict[str, dict[Path, None]] = {}
    for row in rows:
        row_params = row.all_params
        params.update(row_params)
        metrics.update(row.metrics)
        if dict in map(type, row_params.values()):
            for path in _paths(row_params):
                deeper.setdefault(path[0], {})[path] = None
    fields: list[Path] = []
    for key in params:
        for path in deeper.get(key, [(key,)]):
            fields.append(("params", *path))
    fields += [("metrics", name) for name in metrics]
    return fields


def meant(name: str, known: Sequence[Path]) -> list[Path]:
    """Return the fields that `name` may mean: those that it names, else those spelt like it."""
    if found := named(name, known):
        return found
    from gitorch.model.text.spelling import similar  # noqa: PLC0415  difflib: only for a wrong name

    by_name: dict[str, Path] = {own: (own,) for own in OWN}
    for path in known:
        by_name[".".join(path)] = path
    by_last_key = {path[-1]: path for path in by_name.values()}
    by_any_name = {**by_last_key, **by_name}
    names = similar(name, [*by_name, *by_last_key], most=2, alike=_ALIKE)
    fields = [by_any_name[near] for near in names]
    return list(dict.fromkeys(fields))


def render_path(path: Path) -> str:
    """Return a path as it is written in an expression: `params.lr`, `params["odd key"]`."""
    text, *keys = path
    for key in keys:
        if _is_plain(key):
            text += f".{key}"
        else:
            text += f'["{key}"]'
    return text


def _is_plain(key: str) -> bool:
    """Return True if an expression can contain the key without brackets."""
    parts = key.split(".")
    return all(parts) and all(map(_is_in_word, key.replace(".", "")))


def _is_in_word(character: str) -> bool:
    """Return True if the character can be in a word of an expression (`where/tokens.py`)."""
    return character.isalnum() or character in "_-/:@%"


def _parameter(params: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the value of a dotted name. The name of one parameter takes precedence over a path."""
    dotted_name = ".".join(keys)
    value = params.get(dotted_name)
    if value is None:
        return value_at(params, keys)
    return value


def _paths(values: Mapping[str, Any]) -> Iterable[Path]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, Mapping):
            for path in _paths(value):
                yield (key, *path)
