"""The statements in .sql files."""

from __future__ import annotations

import sqlite3

import pytest

from gitorch.database.statements import script, split, statements


@pytest.mark.parametrize("file", ["queue.sql", "index.sql", "digests.sql"])
def test_every_statement_has_a_name_and_an_explanation(file: str) -> None:
    for name, sql in statements(file).items():
        if name != "schema":
            assert sql.startswith("-- "), f"{name} is not explained"
            assert sql.count(";") == 1, f"{name} is not one statement"


def test_a_script_is_split_into_statements() -> None:
    sql = "-- a comment; with a semicolon\nSELECT 1;\nSELECT\n';';\n"
    assert [statement.strip()[-1] for statement in split(sql)] == [";", ";"]
    connection = sqlite3.connect(":memory:")
    for statement in split(script("queue_schema.sql")):
        connection.execute(statement)
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
    ).fetchall()
    connection.close()
    assert {"runs", "tasks", "needs", "workers", "meta"} <= {
        name for (name,) in tables
    }
