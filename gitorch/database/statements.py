"""The `.sql` files beside this one: statements by their names."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(file: str = "queries.sql") -> dict[str, str]:
    _, *parts = _NAME.split(_text(file))
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def schema() -> str:
    return _text("schema.sql")


def upgrade(version: int) -> str:
    """What makes a queue of the next format out of one of this."""
    return _text(f"upgrade_{version}.sql")


def split(script: str) -> Iterator[str]:
    """The statements of a script (executescript would commit the transaction it runs in)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
