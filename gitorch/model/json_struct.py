"""Values that write themselves as JSON and are read back, by their fields alone.

The formats on the results branch and in queue.db are the fields of these classes, in their order.
Unknown keys are ignored, so that a record of a later version can be read.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from msgspec import Struct, convert, field, to_builtins

Value = TypeVar("Value")


class JsonStruct(Struct, frozen=True, omit_defaults=True):
    """A frozen value with a JSON form.

    A field with a plain default is left out of JSON when it has that default: it was added later,
    and values without it must look as they did before. Give a field that is always in JSON its
    default by `always`.
    """

    def to_json(self) -> Any:
        """Return plain JSON values. Sequences are tuples."""
        return to_builtins(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the value that `to_json` was called on.

        Raises ValueError with the path of the part that does not have the type of its field.
        """
        read: Self = from_builtins(value, cls)
        return read


def from_builtins(value: Any, kind: Any) -> Any:
    """Return the value of type `kind` that has this JSON. Use this instead of `msgspec.convert`.

    msgspec 0.22.0 describes a type to itself at its first conversion, which runs Python code. A
    second thread that converts to the same type meanwhile uses the unfinished description, and the
    process dies of a null pointer (6 of 12 times with six threads). Therefore only one thread at a
    time makes first conversions. Raises ValueError.
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
    """Return a new dict: as a default factory, what `always` is for other defaults."""
    return {}


def always(default: Value, *, name: str | None = None) -> Value:
    """Return a field that is in JSON even if it has this default; `name` is its key there.

    msgspec leaves out a field that is its default, but does not compare with what a factory makes.
    """
    declared: Value = field(default_factory=lambda: default, name=name)
    return declared


def without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items that are not empty: keys that were added later are left out if empty."""
    return {key: value for key, value in values.items() if value}
