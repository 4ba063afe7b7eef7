"""Whether a queue's file is whole, without changing or making it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitorch.database.run_queue import BUSY_TIMEOUT_S, VERSION, explained
from gitorch.database.statements import statements


class _Anything(dict[str, Any]):
    """A value for every parameter."""

    def __missing__(self, name: str) -> None:
        return None


def damage(path: Path) -> str | None:
    """What is wrong with the file at `path`; None: nothing, or nothing that a newer gitorch would not know better.

    Reads all of it. Raises Busy, and QueueBroken where the system does not let it be read.
    """
    with explained(path):
        try:
            uri = f"file:{quote(str(path))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
                return _damage(connection)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            return str(error)


def _damage(connection: sqlite3.Connection) -> str | None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        return "; ".join(" ".join(line.split()) for line in found)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        return None
    if version == 0:
        has_tables = connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
        return "it is no queue of gitorch's" if has_tables else None
    if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
        return f"a row of {broken[0]} belongs to nothing"
    try:
        for statement in statements().values():
            connection.execute(f"EXPLAIN {statement}", _Anything())
    except sqlite3.OperationalError as error:
        return str(error)
    return None
