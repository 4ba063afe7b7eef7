"""Examining the file of a queue."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gitorch.database.connection import DatabaseBroken
from gitorch.database.examine import damage
from gitorch.database.run_queue import Queue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "queue.db"
    Queue.open(path, home="here").close()
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_whole_file_has_no_damage_and_is_not_changed(path: Path) -> None:
    before = path.read_bytes()
    assert damage(path) is None
    assert path.read_bytes() == before


def test_an_empty_file_is_a_queue_that_has_not_been_used(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert damage(tmp_path / "empty.db") is None


def test_a_file_of_a_newer_format_is_not_judged(path: Path) -> None:
    change(path, "DROP TABLE needs", "PRAGMA user_version = 99")
    assert damage(path) is None


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["PRAGMA user_version = 0"], "it is not a queue of gitorch"),
        (["ALTER TABLE tasks DROP COLUMN losses"], "no such column: losses"),
        (
            [
                "PRAGMA foreign_keys = OFF",
                "INSERT INTO needs (run, task, needed) VALUES ('gone', 'a', 'b')",
            ],
            "a row of the table needs belongs to no run",
        ),
    ],
)
def test_damage_is_described(
    path: Path, statements: list[str], reason: str
) -> None:
    change(path, *statements)
    assert damage(path) == reason


def test_a_file_that_is_not_a_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 100)
    assert damage(path) == "file is not a database"


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseBroken, match="cannot use the queue"):
        damage(tmp_path / "missing.db")
