"""What is wrong with a config, and where: shown rustc-style by `cli/`, as JSON, or as annotations."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class Severity(StrEnum):
    ERROR = "error"  # nothing of this config is queued
    WARNING = "warning"  # probably not what was meant
    NOTE = "note"  # worth knowing


class Problem(Struct, frozen=True, kw_only=True, order=True):
    """One complaint about one place. Lines and columns count from 1; `length` is in characters of that line."""

    file: str
    line: int = 1
    column: int = 1
    length: int = 1
    message: str
    hint: str | None = None
    severity: Severity = Severity.ERROR
    excerpt: str = ""  # the line of the file it points into, "" where there is none

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "hint": self.hint,
            "severity": str(self.severity),
        }


def has_errors(problems: tuple[Problem, ...] | list[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)
