"""Opening an SQLite database, executing its named statements, and translating SQLite's errors.

The queue, the index of runs and the file digests differ in their `DatabaseFormat` only.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote
from weakref import finalize

from gitorch.database.statements import split, statements
from gitorch.errors import Busy, GitorchError
from gitorch.tools.faults import boundary
from gitorch.tools.private import private_file
from gitorch.tools.waits import Wait

# How long SQLite itself waits for a lock.
_MOMENT_S = 0.25


class DatabaseFormat(NamedTuple):
    """The properties that all files of one kind of database share.

    Messages use `name`. `version` is SQLite's `PRAGMA user_version`, which is 0 in an empty file.
    `timeout_s` is how long a statement waits for another connection to release its lock. `repair`
    is the hint of an error about a damaged file.
    """

    name: str
    version: int
    statements: str  # the name of the .sql file
    pragmas: tuple[str, ...]
    timeout_s: float
    repair: str
    # Rows are sqlite3.Row instead of tuples, which are read faster.
    rows_have_names: bool = False

    def translated(self, path: Path | None) -> ErrorTranslation:
        return ErrorTranslation(self, path)


class DatabaseBroken(GitorchError):
    """A database cannot be used: the system refuses to read or write it, or its file is damaged.

    `kind` names the database: `queue-broken`, `index-broken`. `reason` is SQLite's own message.
    """

    def __init__(self, name: str, message: str, hint: str, *, reason: str) -> None:
        super().__init__(message, hint)
        self.kind = f"{name}-broken"
        self.reason = reason


class DatabaseDamaged(DatabaseBroken):
    """A file is not an SQLite database, or parts of the file are corrupt."""


class ErrorTranslation:
    """A context that raises SQLite's errors as Busy, DatabaseBroken or DatabaseDamaged.

    Every statement enters such a context. A generator instead of a class would cost 1 us more.
    """

    def __init__(self, format: DatabaseFormat, path: Path | None) -> None:
        self._format = format
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, sqlite3.ProgrammingError):
            return  # a bug of gitorch: not translated
        if isinstance(error, sqlite3.OperationalError):
            raise self._operational(error) from error
        if isinstance(error, sqlite3.DatabaseError):
            raise DatabaseDamaged(
                self._format.name,
                f"{self.subject} is damaged: {error}",
                self._format.repair,
                reason=str(error),
            ) from error

    @property
    def subject(self) -> str:
        return f"the {self._format.name} {self._path or 'in memory'}"

    def _operational(self, error: sqlite3.OperationalError) -> GitorchError:
        reason = str(error)
        if _is_busy(error):
            seconds = f"{self._format.timeout_s:.0f} s"
            return Busy(
                f"{self.subject} is locked: another program has been writing to it for {seconds}",
                hint="try again; `gitorch status` shows who is working",
            )
        return DatabaseBroken(
            self._format.name,
            f"cannot use {self.subject}: {reason}",
            "is the disk full, or the directory read-only?",
            reason=reason,
        )


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Return True if another connection holds a lock."""
    reason = str(error)
    return "locked" in reason or "busy" in reason


class Database:
    """One connection to an SQLite database, usable from several threads of a process.

    All methods raise Busy if another connection holds a lock for too long. They raise
    DatabaseBroken if the database cannot be used.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        format: DatabaseFormat,
        path: Path | None,
    ) -> None:
        if format.rows_have_names:
            connection.row_factory = sqlite3.Row
        self.format = format
        self._connection = connection
        self._translated = format.translated(path)
        # Reentrant, since a thread that holds the lock for a transaction also fetches within it.
        self._lock = threading.RLock()
        # Also if the process ends without freeing its objects: the -wal files would stay, and grow,
        # and the next process would have to read them from the beginning to the end.
        finalize(self, _close, connection)

    @classmethod
    def open(cls, path: Path | None, format: DatabaseFormat) -> Self:
        """Open the file at `path`, or create it. Open a database in memory if `path` is None."""
        if path is not None:
            # SQLite gives the files beside it (-wal, -shm) the mode of the file.
            with suppress(OSError):
                private_file(path)
        with format.translated(path):
            connection = sqlite3.connect(
                path or ":memory:",
                timeout=min(_MOMENT_S, format.timeout_s),
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                for pragma in format.pragmas:
                    connection.execute(f"PRAGMA {pragma}")
            except BaseException:
                connection.close()
                raise
        return cls(connection, format, path)

    @classmethod
    def open_read_only(
        cls, path: Path, format: DatabaseFormat, *, is_immutable: bool = False
    ) -> Self:
        """Open an existing file without ever changing it or creating another one beside it.

        `is_immutable` promises that no other program changes the file. A database in WAL mode can
        be read on a read-only file system only with this promise, unless its -wal file exists
        (https://www.sqlite.org/wal.html#readonly).
        """
        how = "immutable=1" if is_immutable else "mode=ro"
        with format.translated(path):
            connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?{how}",
                uri=True,
                timeout=min(_MOMENT_S, format.timeout_s),
                isolation_level=None,
                check_same_thread=False,
            )
        return cls(connection, format, path)

    def close(self) -> None:
        """Close the connection. The last one to a file moves what is in its -wal file to it."""
        self._connection.close()

    def version(self) -> int:
        """Return the version of the file's format, or 0 if the file is empty."""
        return int(self.query("PRAGMA user_version")[0][0])

    def fetch(self, name: str, /, **values: Any) -> list[Any]:
        """Return all rows of the statement called `name`."""
        return self.query(statements(self.format.statements)[name], values)

    def query(
        self, sql: str, values: Mapping[str, Any] | tuple[()] = ()
    ) -> list[Any]:
        """Return all rows of a statement given as SQL."""
        with self._lock, self._translated:
            return self._execute(sql, values).fetchall()

    def _execute(
        self, sql: str, values: Mapping[str, Any] | tuple[()] = ()
    ) -> sqlite3.Cursor:
        """Execute a statement, and wait if another connection holds a lock.

        SQLite waits without looking for signals, so it waits for a moment only.
        """
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
        wait = Wait(
            f"the lock of {self._translated.subject}", bound_s=self.format.timeout_s
        )
        while True:
            try:
                return self._connection.execute(sql, values)
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or not wait.pause():
                    raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Execute statements that take effect together or not at all.

        SQLite's write lock is held from the beginning (BEGIN IMMEDIATE). Values that are read
        within the transaction are therefore still valid when it is committed.
        """
        with self._begun("IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read one state of the database, without changes that others commit in the meantime."""
        with self._begun("DEFERRED") as transaction:
            yield transaction

    @contextmanager
    def _begun(self, mode: str) -> Iterator[Transaction]:
        with self._lock, self._translated:
            self._execute(f"BEGIN {mode}")
            try:
                yield Transaction(self._connection, self.format)
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite itself has rolled back after some errors, for example if the disk is full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            boundary()


class Transaction:
    """Executes the statements of the format's .sql file within one transaction, by name."""

    def __init__(
        self, connection: sqlite3.Connection, format: DatabaseFormat
    ) -> None:
        self._connection = connection
        self._format = format
        self._statements = statements(format.statements)

    def __call__(self, name: str, /, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(self._statements[name], values)

    def many(self, name: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Execute one statement for each of `rows`."""
        self._connection.executemany(self._statements[name], rows)

    def script(self, sql: str) -> None:
        """Execute all statements of `sql`."""
        for statement in split(sql):
            self._connection.execute(statement)

    def set_version(self) -> None:
        """Mark the file as one of the current version of its format."""
        self._connection.execute(f"PRAGMA user_version = {self._format.version}")


def _close(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        connection.close()
