"""Values that write themselves as JSON and are read back, by their fields alone.

The formats on the results branch and in queue.db are the fields of these classes, in their order.
Unknown keys are ignored, so that a record of a later version can be read.
"""

from __future__ import annotations

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
        return convert(value, cls)


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
