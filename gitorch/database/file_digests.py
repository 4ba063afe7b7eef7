"""What files were found to hold, so that they are not read twice: digests.db.

A memory and nothing more. Where it cannot be read or written it is empty; where it is damaged it begins anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

from gitorch.database.statements import statements

VERSION = 1
KEPT = 1_000_000  # files; of more the oldest are forgotten
_PATIENCE_S = 1.0


class Facts(NamedTuple):
    """What changes whenever a file's content does."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def __str__(self) -> str:
        return " ".join(map(str, self))  # a text, since inodes are larger than SQLite's integers


class FileDigests:
    """The memory at a path. For any thread: each call opens and closes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, files: Mapping[Path, Facts]) -> dict[Path, str]:
        """The SHA-256 of those that are known and unchanged."""
        found: dict[Path, str] = {}
        if files and self._path.exists():
            with self._forgiving(), closing(self._connect()) as connection:
                for path, facts in files.items():
                    values = {"path": os.fsencode(path), "facts": str(facts)}
                    if row := connection.execute(_sql("recall"), values).fetchone():
                        found[path] = row[0]
        return found

    def remember(self, files: Iterable[tuple[Path, Facts, str]]) -> None:
        rows = [
            {"path": os.fsencode(path), "facts": str(facts), "sha256": sha256}
            for path, facts, sha256 in files
        ]
        if not rows:
            return
        with self._forgiving():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                    connection.execute("DROP TABLE IF EXISTS digests")
                    connection.execute(_sql("create"))
                    connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.executemany(_sql("remember"), rows)
                connection.execute(_sql("forget"), {"kept": KEPT})
                connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """What goes wrong ends what was begun, and nothing else."""
        try:
            yield
        except (OSError, sqlite3.OperationalError):
            pass  # not readable, not writable, locked, of another format, the disk full
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{self._path}{suffix}").unlink()


def _sql(name: str) -> str:
    return statements("digests.sql")[name]
