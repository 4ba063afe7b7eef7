"""The statements of the `.sql` files in this directory, by name."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """Return the statements of a file by name. A line `-- name: ...` begins each statement."""
    _, *parts = _NAME.split(script(file))
    names = parts[::2]
    bodies = map(str.strip, parts[1::2])
    return dict(zip(names, bodies, strict=True))


def script(file: str) -> str:
    """Return the text of a file. It is for files whose statements have no names."""
    return Path(__file__).with_name(file).read_text(encoding="utf-8")


def split(sql: str) -> Iterator[str]:
    """Yield the statements of a script one by one.

    `executescript` of sqlite3 is not used, since it commits the open transaction.
    """
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
