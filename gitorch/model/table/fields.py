"""What can be asked of a run by name: its own fields, `params.…` and `metrics.…`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from gitorch.errors import UsageError
from gitorch.model.table.row import Row

OWN = ("id", "name", "label", "status", "commit", "created", "started", "ended", "duration_s")
KINDS = ("params", "metrics")

# As the columns of the list are headed.
_TITLES = {"took": "duration_s"}

Item = TypeVar("Item")
Path = tuple[str, ...]  # ("status",), ("params", "optimizer", "lr"), ("metrics", "test.f1")
Getter = Callable[[Row], Any]


def getter(path: Path) -> Getter:
    """What gives a run's value; None where it has none. Of params a dotted path leads into mappings."""
    match path:
        case ("params", key):
            return lambda row: row.params.get(key)
        case ("params", *keys):
            return lambda row: _within(row.params, keys)
        case ("metrics", *keys):
            name = ".".join(keys)
            return lambda row: row.metrics.get(name)
        case (own,):
            return lambda row: getattr(row, own)
    raise ValueError(path)


def is_field(path: Path) -> bool:
    """Whether a run may have this, one or another."""
    return path[0] in KINDS if len(path) > 1 else path[0] in OWN


def field(name: str, rows: Iterable[Row], *, prefer: str | None = None) -> Path:
    """What a column's name means among `rows`: a field in full, or the end of one that is the only one to end so.

    `prefer`, one of KINDS, decides between a parameter and a metric of that name. Raises UsageError. Where there is no
    run yet, nobody can tell.
    """
    if name in OWN or name in _TITLES:
        return (_TITLES.get(name, name),)
    known = known_fields(rows)
    path = tuple(name.split("."))
    if path in known or (not known and is_field(path)):
        return path
    if prefer and (prefer, *path) in known:
        return (prefer, *path)
    found = meant(name, known)
    if len(found) == 1 and name in (found[0][-1], ".".join(found[0][1:]), ".".join(found[0])):
        return found[0]
    if found:
        raise UsageError(
            f"no column {name!r}", f"did you mean {' or '.join(map(render_path, found))}?"
        )
    raise UsageError(
        f"no column {name!r}", f"there are: {', '.join([*OWN, *map(render_path, known)])}"
    )


def in_order(value: Any) -> tuple[int, Any]:
    """A key for sorting values of any kinds: numbers before text, before all others."""
    match value:
        case int() | float():
            return (0, value)
        case str():
            return (1, value)
        case _:
            return (2, repr(value))


def sorted_by(
    items: Iterable[Item], keys: Sequence[tuple[Callable[[Item], Any], bool]]
) -> list[Item]:
    """`items` by the first key, then by the next, each from high to low or not; None comes last in both."""
    ordered = list(items)
    for get, descending in reversed(keys):
        there = [item for item in ordered if get(item) is not None]
        there.sort(key=lambda item, get=get: in_order(get(item)), reverse=descending)  # type: ignore[misc]
        ordered = there + [item for item in ordered if get(item) is None]
    return ordered


def known_fields(rows: Iterable[Row]) -> list[Path]:
    """The params and metrics that any of these runs has, each once; mappings in params with what is in them."""
    params: dict[Path, None] = {}
    metrics: dict[Path, None] = {}
    for row in rows:
        params |= dict.fromkeys(("params", *path) for path in _paths(row.params))
        metrics |= dict.fromkeys(("metrics", name) for name in row.metrics)
    return [*params, *metrics]


def meant(name: str, known: Sequence[Path]) -> list[Path]:
    """What somebody may mean who says only `name`: the fields that end so, else those that are nearly called so."""
    exact = [path for path in known if name in (path[-1], ".".join(path[1:]), ".".join(path))]
    if exact:
        return exact
    import difflib  # noqa: PLC0415  only where a name is wrong

    names = {".".join(path): path for path in [*((own,) for own in OWN), *known]}
    shorter = {path[-1]: path for path in names.values()}
    near = difflib.get_close_matches(name, [*names, *shorter], n=2, cutoff=0.7)
    return list(dict.fromkeys(names.get(found) or shorter[found] for found in near))


def render_path(path: Path) -> str:
    """As it is written in an expression: `params.lr`, `params["odd key"]`."""
    first, *rest = path
    return first + "".join(f".{key}" if _is_plain(key) else f'["{key}"]' for key in rest)


def _is_plain(key: str) -> bool:
    return all(part.replace("-", "_").isidentifier() or part.isalnum() for part in key.split("."))


def _within(value: Any, keys: Sequence[str]) -> Any:
    if isinstance(value, Mapping) and (whole := value.get(".".join(keys))) is not None:
        return whole
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _paths(values: Mapping[str, Any]) -> Iterable[Path]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, Mapping):
            yield from ((key, *path) for path in _paths(value))
