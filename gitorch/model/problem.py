"""Problems in a config: what is wrong, and where. `cli/` shows them as text or JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from gitorch.model.json_struct import JsonStruct


class Severity(StrEnum):
    """How serious a problem is."""

    ERROR = "error"  # no run of this config is queued
    WARNING = "warning"  # probably a mistake
    NOTE = "note"  # worth knowing


_NOT_IN_JSON = ("length", "excerpt")


class Problem(
    JsonStruct, frozen=True, kw_only=True, order=True, omit_defaults=False
):
    """One problem at one position.

    Lines and columns count from 1. `length` is the number of characters from `column` on to which
    the problem applies. `excerpt` is the text of the line, or empty if there is none.
    """

    file: str
    line: int = 1
    column: int = 1
    length: int = 1
    message: str
    hint: str | None = None
    severity: Severity = Severity.ERROR
    excerpt: str = ""

    def to_json(self) -> dict[str, Any]:
        problem: dict[str, Any] = super().to_json()
        for name in _NOT_IN_JSON:
            del problem[name]
        return problem


def has_errors(problems: tuple[Problem, ...] | list[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)
