"""What can be asked of a run by name: its own fields, `params.…` and `metrics.…`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gitorch.model.row import Row

OWN = ("id", "name", "label", "status", "commit", "created", "started", "ended", "duration_s")
KINDS = ("params", "metrics")

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
