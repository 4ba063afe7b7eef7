"""A cache of the SHA-256 digests of files, so that an unchanged file is not read twice: digests.db.

The cache never causes an error: a file that cannot be read or written counts as empty, and a
damaged file is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

from gitorch.database.connection import (
    Database,
    DatabaseBroken,
    DatabaseDamaged,
    DatabaseFormat,
)
from gitorch.errors import Busy

FORMAT = DatabaseFormat(
    name="file digests",
    version=1,
    statements="digests.sql",
    pragmas=("journal_mode = WAL", "synchronous = NORMAL"),
    timeout_s=1.0,
    repair="delete digests.db*: the files are read again",
)
KEPT = 1_000_000  # files; the oldest entries beyond this number are removed


class Facts(NamedTuple):
    """The properties of a file of which at least one changes when its content changes."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(
            status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        )

    def __str__(self) -> str:
        return " ".join(
            map(str, self)
        )  # text, since inodes may exceed SQLite's integers


class FileDigests:
    """The cache in one file. Any thread can use the cache: each call opens and closes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, files: Mapping[Path, Facts]) -> dict[Path, str]:
        """Return the SHA-256 of each file that is in the cache and has not changed since."""
        digests: dict[Path, str] = {}
        if not files or not self._path.exists():
            return digests
        with (
            self._forgiving(),
            closing(Database.open(self._path, FORMAT)) as database,
            database.snapshot() as execute,
        ):
            for path, facts in files.items():
                row = execute(
                    "recall", path=os.fsencode(path), facts=str(facts)
                ).fetchone()
                if row:
                    digests[path] = row[0]
        return digests

    def remember(self, files: Iterable[tuple[Path, Facts, str]]) -> None:
        """Add the SHA-256 of files to the cache."""
        rows = [
            {"path": os.fsencode(path), "facts": str(facts), "sha256": sha256}
            for path, facts, sha256 in files
        ]
        if not rows:
            return
        with self._forgiving():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with (
                closing(Database.open(self._path, FORMAT)) as database,
                database.transaction() as execute,
            ):
                if database.version() != FORMAT.version:
                    execute("discard")
                    execute("create")
                    execute.set_version()
                execute.many("remember", rows)
                execute("forget", kept=KEPT)

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Leave the block at the first error of the cache, without raising the error."""
        try:
            yield
        except DatabaseDamaged:
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{self._path}{suffix}").unlink()
        except (OSError, Busy, DatabaseBroken):
            pass  # not readable or writable, locked, of another format, or the disk is full
