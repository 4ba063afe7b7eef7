"""The base class of values that are stored as JSON.

The declared fields of a class, in their order, define its format on the results branch or in
queue.db. Unknown keys are ignored, so that a record of a later version can be read.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from msgspec import Struct, convert, field, to_builtins

Value = TypeVar("Value")


class JsonStruct(Struct, frozen=True, omit_defaults=True):
    """A frozen value with a JSON form.

    Two kinds of fields have defaults. A field with a plain default is left out of the JSON when it
    has this default. Use it for a field that was added later, because the JSON of older values must
    not change. A field with a default from `always` is always in the JSON.
    """

    def to_json(self) -> Any:
        """Return this value as plain JSON values. Sequences are tuples."""
        return to_builtins(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the value whose JSON this is: the inverse of `to_json`.

        Raises ValueError with the path of the part that does not have the type of its field.
        """
        read: Self = from_builtins(value, cls)
        return read


def from_builtins(value: Any, kind: Any) -> Any:
    """Return the value of type `kind` that has this JSON. Use this instead of `msgspec.convert`.

    At the first conversion to a type, msgspec 0.22.0 builds a description of the type, which runs
    Python code. If a second thread converts to the same type during that time, it uses the
    unfinished description, and the process crashes with a null pointer (6 of 12 times with six
    threads). Therefore only one thread at a time makes first conversions. Raises ValueError.
    """
    if kind in _described:
        return convert(value, kind)
    with _describing:
        try:
            return convert(value, kind)
        finally:
            _described.add(kind)


_described: set[Any] = set()
_describing = threading.Lock()


def empty_mapping() -> dict[str, Any]:
    """Return a new dict. As a `default_factory` it does for mappings what `always` does."""
    return {}


def always(default: Value, *, name: str | None = None) -> Value:
    """Return a field that is in the JSON even if it has this default. `name` is its key there.

    msgspec leaves out a field that equals its default, but it does not compare a field with the
    result of a default factory.
    """
    declared: Value = field(default_factory=lambda: default, name=name)
    return declared


def without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items whose values are not empty. Use it for keys that were added later."""
    return {key: value for key, value in values.items() if value}
