"""The findings of a comparison of two runs by value, beyond their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.run.compare import ChangedFile


class DifferingPlace(JsonStruct, frozen=True, kw_only=True):
    """A place in a file or a value, with what the two runs have there."""

    at: str
    before: Any = always(None)
    after: Any = always(None)


class ByValue(JsonStruct, frozen=True, kw_only=True):
    """A comparison by value, as `runner/values_program.py` answers it.

    `count` places differ by more than the tolerance, of which `beyond` has the first, and `within`
    numbers differ by less. The largest differences are those of all numbers. If the values cannot
    be compared, `note` says why.
    """

    count: int = 0
    within: int = 0
    largest_absolute: float = 0.0
    largest_relative: float = 0.0
    largest_at: str = ""
    beyond: tuple[DifferingPlace, ...] = ()
    note: str | None = None

    @property
    def differs(self) -> bool:
        return self.count > 0 or self.note is not None


class Evidence(Struct, frozen=True, kw_only=True):
    """The findings in the values of two runs, beside their records.

    `lines` has the changed lines of outputs, if git knows them. `outputs` are the outputs that
    differ and could have the same values. `results` and `logs` are those that differ, by task.
    """

    metrics: ByValue = ByValue()
    outputs: Mapping[str, ByValue] = field(default_factory=dict)
    results: Mapping[str, ByValue] = field(default_factory=dict)
    logs: Mapping[str, ByValue] = field(default_factory=dict)
    lines: Mapping[str, ChangedFile] = field(default_factory=dict)
