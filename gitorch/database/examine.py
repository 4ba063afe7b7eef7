"""Examines the file of a queue without changing or creating the file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from gitorch.database.connection import Database, DatabaseBroken, DatabaseDamaged
from gitorch.database.queue_file import FORMAT
from gitorch.database.statements import statements


class _AnyValues(dict[str, Any]):
    """Binds NULL to every parameter of a statement."""

    def __missing__(self, name: str) -> None:
        return None


def damage(path: Path) -> str | None:
    """Return a description of the damage to the queue at `path`, or None. Reads the whole file.

    The result is None too for the file of a newer gitorch, whose format is unknown here. Raises
    Busy, and DatabaseBroken if the system does not allow reading the file.
    """
    try:
        with closing(Database.open_read_only(path, FORMAT)) as database:
            return _damage(database)
    except DatabaseDamaged as error:
        return error.reason


def _damage(database: Database) -> str | None:
    flaws = [row[0] for row in database.query("PRAGMA integrity_check(3)")]
    if flaws != ["ok"]:
        return "; ".join(" ".join(flaw.split()) for flaw in flaws)
    version = database.version()
    if version > FORMAT.version:
        return None
    if version == 0:
        has_tables = database.query("SELECT 1 FROM sqlite_schema")
        return "it is not a queue of gitorch" if has_tables else None
    orphans = database.query("PRAGMA foreign_key_check")
    if orphans:
        return f"a row of the table {orphans[0][0]} belongs to no run"
    return _missing_part(database)


def _missing_part(database: Database) -> str | None:
    """Return SQLite's error for the first statement that does not fit the tables, or None."""
    for statement in statements(FORMAT.statements).values():
        try:
            database.query(f"EXPLAIN {statement}", _AnyValues())
        except DatabaseBroken as error:
            return error.reason
    return None
