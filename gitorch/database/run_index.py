"""The index: what is asked of all records together, in SQLite, as of one commit of the results branch.

It holds nothing that the records do not: a file that is damaged, of another format or of another place is thrown away
and made anew, and where none can be written, or shared, the index is held in memory. Whoever changes it holds SQLite's
write lock from reading how far it has been told to telling it more, all in one transaction, so it is always whole.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitorch.database.run_queue import QueueBroken, explained
from gitorch.database.statements import split, statements
from gitorch.model.run.status import Status
from gitorch.model.table.row import Complete, Row, TaskRow
from gitorch.model.table.select import Named
from gitorch.tools.faults import boundary
from gitorch.tools.locks import taken

VERSION = 1
# Somebody else may be reading tens of thousands of records into it.
_PATIENCE_S = 30.0
_SQL = "index.sql"


class RunIndex:
    """One connection to index.db, usable from several threads of a process.

    Anything but a bug is told as QueueBroken or Busy; `renew` and `move_to_memory` are what to do then.
    """

    def __init__(self, path: Path | None, *, home: str) -> None:
        """The index at `path`, made if need be; in memory where that is None or cannot be used.

        `home` names the place it belongs to: a copy of the repository may have been made while it was written.
        """
        self._path = path
        self._home = home
        self._lock = threading.RLock()
        self._connection = self._opened(anew=False)

    def renew(self) -> None:
        """Throw the file away, and begin with an empty one."""
        with self._lock:
            self._connection.close()
            self._connection = self._opened(anew=True)

    def move_to_memory(self) -> None:
        """Begin with an empty one in memory, and leave the file alone."""
        with self._lock:
            self._path = None
            self._connection.close()
            self._connection = self._opened(anew=False)

    # -- what it has been told

    def tip(self) -> str | None:
        """The commit whose records are in it."""
        found = self._fetch("get_meta", key="tip")
        return str(found[0][0]) if found else None

    @contextmanager
    def updating(self) -> Iterator[Update]:
        """The only one who changes the index, all at once at the end or not at all."""
        with self._lock, explained(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Update(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if (
                    self._connection.in_transaction
                ):  # SQLite ends it by itself where the disk is full
                    self._connection.execute("ROLLBACK")
                raise
            boundary()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """What is asked within is answered by one state of the index."""
        with self._lock, explained(self._path):
            self._connection.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    # -- what is asked of it

    def rows(self, ids: Sequence[str] | None = None) -> list[Row]:
        """All runs, or these, newest first."""
        found = (
            self._fetch("rows")
            if ids is None
            else self._fetch("rows_of", ids=json.dumps(list(ids)))
        )
        return list(map(_row, found))

    def live_rows(self) -> list[Row]:
        """The runs that are not over, newest first."""
        return list(map(_row, self._fetch("live_rows")))

    def counts(self) -> dict[Status, int]:
        """How many runs there are in each status."""
        return {Status(status): count for status, count in self._fetch("counts")}

    def newest(self, back: int) -> str | None:
        """The latest run (0), the one before (1), and so on."""
        found = self._fetch("newest", back=min(back, _LARGEST))
        return found[0][0] if found else None

    def called(self, name: str) -> str | None:
        """The newest run with this id, label or name."""
        found = self._fetch("called", id=name if name.isascii() else None, name=_encoded(name))
        return found[0][0] if found else None

    def beginning(self, prefix: str) -> list[Named]:
        """The runs whose ids begin with these hexadecimal digits, newest first."""
        found = self._fetch("beginning", prefix=prefix)
        return [
            Named(id, _decoded(name), _decoded(label), created)
            for id, name, label, created in found
        ]

    def names(self) -> list[str]:
        """What runs are called, each once, the newest first."""
        return [_decoded(name) for (name,) in self._fetch("names")]

    def by_identity(
        self, identities: Iterable[str] | None = None
    ) -> dict[str, tuple[str, Status, str]]:
        """Id, status and label of the newest run of each identity, or of each of these; FAILED ones count for none."""
        found = self._fetch(
            "by_identity", identities=None if identities is None else json.dumps(list(identities))
        )
        return {
            identity: (id, Status(status), _decoded(label)) for identity, id, status, label in found
        }

    def durations(self, name: str, task: str) -> list[float]:
        """How long this task took, in seconds, in the runs of this name in which it is complete."""
        return [seconds for (seconds,) in self._fetch("durations", name=_encoded(name), task=task)]

    def computed(self, key: str) -> list[tuple[str, str]]:
        """Run and id of the complete tasks with this key of the cache, newest first."""
        return self._fetch("computed", key=key)

    def computed_like(self, name: str, task: str) -> tuple[str, ...]:
        """The runs of this name in which this task is complete and has a key of the cache, newest first."""
        return tuple(run for (run,) in self._fetch("computed_like", name=_encoded(name), task=task))

    # -- the file

    def _opened(self, *, anew: bool) -> sqlite3.Connection:
        """The file is opened, made and thrown away by one at a time: its parts are never of two files."""
        if self._path is None:
            return _made(":memory:", self._home)
        try:
            with (
                taken(self._path.with_suffix(".lock"), wait_s=_PATIENCE_S) as held,
                explained(self._path),
            ):
                connection = _whole(self._path, self._home) if held and not anew else None
                if held and connection is None:
                    for part in ("", "-wal", "-shm"):
                        self._path.with_name(self._path.name + part).unlink(missing_ok=True)
                    connection = _made(self._path, self._home)
        except (OSError, QueueBroken):  # nothing can be written there
            connection = None
        return connection or _made(":memory:", self._home)

    def _fetch(self, statement: str, /, **values: Any) -> list[Any]:
        with self._lock, explained(self._path):
            return self._connection.execute(statements(_SQL)[statement], values).fetchall()


class Update:
    """Changes to the index that are made together. Given by `RunIndex.updating`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def told(self) -> str | None:
        """The commit whose records are in it."""
        found = self._run("get_meta", key="tip").fetchone()
        return found[0] if found else None

    def forget_all(self) -> None:
        self._run("forget_all")

    def forget(self, run: str) -> None:
        self._run("forget", run=run)

    def add(self, row: Row, complete: Iterable[Complete]) -> None:
        """A run that is not in it, or was forgotten."""
        self._run("add", **_values(row))
        for task in complete:
            self._run("add_complete", run=row.id, name=_encoded(row.name), **task._asdict())

    def tell(self, tip: str | None) -> None:
        """The records of this commit are in it, and no others."""
        self._run("forget_meta", key="tip")
        if tip:
            self._run("set_meta", key="tip", value=tip)

    def _run(self, statement: str, /, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(statements(_SQL)[statement], values)


_LARGEST = (1 << 63) - 1  # of SQLite's integers


def _whole(path: Path, home: str) -> sqlite3.Connection | None:
    """The index at `path`; None where there is none, or not one of this format and place."""
    if not path.exists():
        return None
    connection = None
    try:
        connection = _connected(path)
        [version] = connection.execute("PRAGMA user_version").fetchone()
        known = (
            version == VERSION
            and connection.execute(statements(_SQL)["get_meta"], {"key": "home"}).fetchone()
        )
        if known == (home,):
            return connection
    except sqlite3.DatabaseError:
        pass
    if connection:
        connection.close()
    return None


def _made(path: Path | str, home: str) -> sqlite3.Connection:
    connection = _connected(path)
    connection.execute("BEGIN IMMEDIATE")
    for statement in split(statements(_SQL)["schema"]):
        connection.execute(statement)
    connection.execute(statements(_SQL)["set_meta"], {"key": "home", "value": home})
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
    return connection


def _connected(path: Path | str) -> sqlite3.Connection:
    """In WAL with synchronous NORMAL a power cut takes the last changes, all of each, and damages nothing."""
    connection = sqlite3.connect(
        path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
    )
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _values(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": _encoded(row.name),
        "label": _encoded(row.label),
        "status": str(row.status),
        "commit": row.commit,
        "told": json.dumps([row.params, row.swept, row.metrics]),
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "duration_s": row.duration_s,
        "clone": row.clone,
        "identity": row.identity,
        "live": json.dumps([row.hold, [task.to_json() for task in row.tasks]])
        if row.tasks
        else None,
    }


# `json.loads` takes twice as long for what is as short as this.
_json = json.JSONDecoder().raw_decode


def _row(values: Sequence[Any]) -> Row:
    """Of what the statements `rows`, `rows_of` and `live_rows` select."""
    (
        id,
        name,
        label,
        status,
        commit,
        told,
        created,
        started,
        ended,
        duration_s,
        clone,
        identity,
        live,
    ) = values
    params, swept, metrics = _json(told)[0]
    hold, tasks = _json(live)[0] if live else (None, ())
    return Row(
        id=id,
        name=_decoded(name),
        label=_decoded(label),
        status=Status(status),
        commit=commit,
        params=params,
        swept=tuple(swept),
        metrics=metrics,
        created=created,
        started=started,
        ended=ended,
        duration_s=duration_s,
        clone=clone,
        identity=identity,
        hold=hold,
        tasks=tuple(map(TaskRow.from_json, tasks)),
    )


def _encoded(text: str) -> bytes:
    """What a file is called need not be text (PEP 383)."""
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
