"""What files were found to hold is remembered while they stay as they are, and forgetting it is never an error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gitorch.database import file_digests
from gitorch.database.file_digests import Facts, FileDigests

FACTS = Facts(size=3, mtime_ns=1, ctime_ns=2, inode=2**64 - 1)
ONE, TWO = Path("/data/one"), Path("/data/caf\udce9\n")


@pytest.fixture
def memory(tmp_path: Path) -> FileDigests:
    memory = FileDigests(tmp_path / "digests.db")
    memory.remember([(ONE, FACTS, "a" * 64), (TWO, FACTS, "b" * 64)])
    return memory


def test_what_is_unchanged_is_known(memory: FileDigests) -> None:
    assert memory.recall({ONE: FACTS, TWO: FACTS, Path("/data/three"): FACTS}) == {
        ONE: "a" * 64,
        TWO: "b" * 64,
    }


@pytest.mark.parametrize("fact", Facts._fields)
def test_what_has_changed_is_not(memory: FileDigests, fact: str) -> None:
    changed = FACTS._replace(**{fact: 7})
    assert memory.recall({ONE: changed}) == {}
    memory.remember([(ONE, changed, "c" * 64)])
    assert memory.recall({ONE: changed}) == {ONE: "c" * 64}
    assert memory.recall({ONE: FACTS}) == {}


def test_the_oldest_are_forgotten(memory: FileDigests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "KEPT", 2)
    memory.remember([(Path("/data/three"), FACTS, "c" * 64)])
    assert memory.recall(dict.fromkeys((ONE, TWO, Path("/data/three")), FACTS)).keys() == {
        TWO,
        Path("/data/three"),
    }


@pytest.mark.parametrize(
    "content", [b"", b"no database " * 1000, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_none_begins_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digests.db"
    path.write_bytes(content)
    memory = FileDigests(path)
    assert memory.recall({ONE: FACTS}) == {}
    memory.remember([(ONE, FACTS, "a" * 64)])
    memory.remember([(ONE, FACTS, "a" * 64)])
    assert memory.recall({ONE: FACTS}) == {ONE: "a" * 64}


def test_one_of_another_format_begins_anew(memory: FileDigests, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "digests.db") as connection:
        connection.execute("DROP TABLE digests")
        connection.execute("CREATE TABLE digests (other TEXT)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert memory.recall({ONE: FACTS}) == {}
    memory.remember([(ONE, FACTS, "a" * 64)])
    assert memory.recall({ONE: FACTS}) == {ONE: "a" * 64}


def test_where_it_cannot_be_it_is_empty(tmp_path: Path, memory: FileDigests) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "digests.db", tmp_path):
        lost = FileDigests(path)
        lost.remember([(ONE, FACTS, "a" * 64)])
        assert lost.recall({ONE: FACTS}) == {}
    writer = sqlite3.connect(tmp_path / "digests.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert memory.recall({ONE: FACTS}) in ({}, {ONE: "a" * 64})
    memory.remember([(ONE, FACTS, "b" * 64)])
    writer.execute("ROLLBACK")
    writer.close()
    assert memory.recall({ONE: FACTS}) == {ONE: "a" * 64}
