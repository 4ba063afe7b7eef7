"""The cache of file digests: valid while files are unchanged, and never the cause of an error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gitorch.database import file_digests
from gitorch.database.file_digests import Facts, FileDigests

FACTS = Facts(size=3, mtime_ns=1, ctime_ns=2, inode=2**64 - 1)
ONE, TWO = Path("/data/one"), Path("/data/caf\udce9\n")


@pytest.fixture
def cache(tmp_path: Path) -> FileDigests:
    cache = FileDigests(tmp_path / "digests.db")
    cache.remember([(ONE, FACTS, "a" * 64), (TWO, FACTS, "b" * 64)])
    return cache


def test_the_digest_of_an_unchanged_file_is_recalled(cache: FileDigests) -> None:
    assert cache.recall({ONE: FACTS, TWO: FACTS, Path("/data/three"): FACTS}) == {
        ONE: "a" * 64,
        TWO: "b" * 64,
    }


@pytest.mark.parametrize("fact", Facts._fields)
def test_the_digest_of_a_changed_file_is_not_recalled(
    cache: FileDigests, fact: str
) -> None:
    changed = FACTS._replace(**{fact: 7})
    assert cache.recall({ONE: changed}) == {}
    cache.remember([(ONE, changed, "c" * 64)])
    assert cache.recall({ONE: changed}) == {ONE: "c" * 64}
    assert cache.recall({ONE: FACTS}) == {}


def test_the_oldest_entries_are_removed(
    cache: FileDigests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digests, "KEPT", 2)
    cache.remember([(Path("/data/three"), FACTS, "c" * 64)])
    assert cache.recall(
        dict.fromkeys((ONE, TWO, Path("/data/three")), FACTS)
    ).keys() == {
        TWO,
        Path("/data/three"),
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"not a database " * 1000, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_file_that_is_not_a_database_is_made_anew(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "digests.db"
    path.write_bytes(content)
    cache = FileDigests(path)
    assert cache.recall({ONE: FACTS}) == {}
    cache.remember([(ONE, FACTS, "a" * 64)])
    cache.remember([(ONE, FACTS, "a" * 64)])
    assert cache.recall({ONE: FACTS}) == {ONE: "a" * 64}


def test_a_file_of_another_format_is_made_anew(
    cache: FileDigests, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "digests.db") as connection:
        connection.execute("DROP TABLE digests")
        connection.execute("CREATE TABLE digests (other TEXT)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert cache.recall({ONE: FACTS}) == {}
    cache.remember([(ONE, FACTS, "a" * 64)])
    assert cache.recall({ONE: FACTS}) == {ONE: "a" * 64}


def test_a_cache_that_cannot_be_used_is_empty(
    tmp_path: Path, cache: FileDigests
) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "digests.db", tmp_path):
        unusable = FileDigests(path)
        unusable.remember([(ONE, FACTS, "a" * 64)])
        assert unusable.recall({ONE: FACTS}) == {}
    writer = sqlite3.connect(tmp_path / "digests.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert cache.recall({ONE: FACTS}) in ({}, {ONE: "a" * 64})
    cache.remember([(ONE, FACTS, "b" * 64)])
    writer.execute("ROLLBACK")
    writer.close()
    assert cache.recall({ONE: FACTS}) == {ONE: "a" * 64}
