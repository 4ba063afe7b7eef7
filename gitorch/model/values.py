"""Equality and order of the values that parameters and metrics can have in JSON and YAML.

Two values can be the same in two ways:

- *Equal* values are the same number, text, list, and so on: 1 equals 1.0, but neither true nor
  '1'. YAML and people compare values in this way. `--where` and the points of a sweep do too:
  `seed == 2.0` selects the runs with `seed: 2`, and a sweep over `[1, 1.0]` has one point.
- *Identical* values are also of the same type: 1 and 1.0 are equal, but not identical. A task
  receives an int or a float, and may compute something else. So `ready` and the cache treat
  them as different runs (`model/run/identity.py`). Commands that explain how runs differ (`list`,
  `--group`, `compare` and `show`) therefore compare values by identity. Otherwise they would show
  two different runs without a difference.

The order of the keys in a mapping is ignored in both cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MISSING = object()  # for `value_at`, where None is a value


def kind_of(value: Any) -> str:
    """Return the kind of a value. Values of different kinds are never equal."""
    match value:
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case Mapping():
            return "mapping"
        case _:
            return "null"


def equality_key(value: Any) -> Any:
    """Return a hashable key. The keys of two values are equal if the values are equal."""
    match value:
        case bool():
            return bool, value  # in Python, True == 1
        case list():
            return list, *map(equality_key, value)
        case dict():
            return frozenset(
                (key, equality_key(held)) for key, held in value.items()
            )
        case _:
            return value


def equal(one: Any, other: Any) -> bool:
    """Return True if the values are equal: 1 and 1.0, but not 1 and true."""
    return bool(equality_key(one) == equality_key(other))


def identity_key(value: Any) -> str:
    """Return a text that only identical values share: those of 1, 1.0 and true are different."""
    match value:
        case dict():
            items = [
                f"{key!r}: {identity_key(value[key])}" for key in sorted(value)
            ]
            return "{" + ", ".join(items) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(identity_key, value)) + "]"
        case _:
            return repr(value)


def are_identical(values: Iterable[Any]) -> bool:
    """Return True if all values are identical."""
    keys = map(identity_key, values)
    first = next(keys, None)
    return all(key == first for key in keys)


def are_ordered(one: Any, other: Any) -> bool:
    """Return True if one value can be less than the other: both are numbers, or both are texts."""
    kind = kind_of(one)
    return kind in ("number", "text") and kind == kind_of(other)


def sort_key(value: Any) -> tuple[int, Any]:
    """Return a key to sort values of any kinds: numbers, then texts, then all others.

    true is sorted as 1, and false as 0.
    """
    match value:
        case int() | float():
            return (0, value)
        case str():
            return (1, value)
        case _:
            return (2, repr(value))


def value_at(values: Any, path: Iterable[str], default: Any = None) -> Any:
    """Return the value at the end of `path` into nested mappings, or `default` if there is none."""
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return default
        values = values[key]
    return values


def with_value(
    values: Mapping[str, Any], path: tuple[str, ...], value: Any
) -> dict[str, Any]:
    """Return a copy of `values` with `value` at the end of `path`.

    Missing mappings on the path are created. Values outside the path are shared, not copied.
    """
    first, *rest = path
    if rest:
        inner = values.get(first)
        if not isinstance(inner, Mapping):
            inner = {}
        value = with_value(inner, tuple(rest), value)
    return {**values, first: value}


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted keys. An empty mapping counts as a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
