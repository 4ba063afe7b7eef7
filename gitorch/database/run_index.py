"""The index of all runs, made from the records of one commit of the results branch.

It holds only the parts of records that lists, selections and the cache need. A file that is
damaged, or that has another format or belongs to another repository, is deleted and created again.
If the file cannot be written or shared, the index is kept in memory. An update is one transaction
that reads the indexed commit and notes the new one, so the index always agrees with one commit.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.database.connection import (
    Database,
    DatabaseBroken,
    DatabaseFormat,
    Transaction,
)
from gitorch.database.index_values import (
    decoded,
    duration_of,
    encoded,
    named_of,
    row_of,
    row_values,
)
from gitorch.database.statements import statements
from gitorch.errors import Busy
from gitorch.model.estimate.history import EarlierDuration
from gitorch.model.run.record import RecordBroken
from gitorch.model.run.status import Status
from gitorch.model.table.references import Named
from gitorch.model.table.row import Complete, Row
from gitorch.tools.locks import taken

FORMAT = DatabaseFormat(
    name="index",
    version=7,
    statements="index.sql",
    # In WAL mode with synchronous NORMAL, a power cut may undo whole transactions, the newest ones,
    # but it does not damage the file.
    pragmas=("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"),
    # Another process may be reading tens of thousands of records into the index.
    timeout_s=30.0,
    repair="delete index.db*: the index is made anew from the records",
)


# The errors of reading a row whose values another program has changed.
DAMAGED_ROW = (ValueError, TypeError, AttributeError, RecursionError)


class Earlier(NamedTuple):
    """An existing run: its identity, its commit, and True if an attempt of it has begun."""

    run: str
    identity: str
    commit: str
    ran: bool


class RunIndex:
    """One connection to index.db, usable from several threads of a process.

    All methods raise DatabaseBroken or Busy, or one of DAMAGED_ROW. The caller then calls `renew`
    or `move_to_memory`, and calls the method again.
    """

    def __init__(self, path: Path | None, *, home: str) -> None:
        """Open or create the index at `path`. It is in memory if `path` is None or cannot be used.

        `home` identifies the repository. A file that was copied with its repository is created
        again, since the copy may have been made in the middle of a change.
        """
        self._path = path
        self._home = home
        # Held during each snapshot, so that `renew` does not replace the database in the middle.
        self._lock = threading.RLock()
        self._database = self._opened(discard=False)

    def renew(self) -> None:
        """Delete the file and start with an empty index."""
        with self._lock:
            self._database.close()
            self._database = self._opened(discard=True)

    def move_to_memory(self) -> None:
        """Start with an empty index in memory, and leave the file as it is."""
        with self._lock:
            self._path = None
            self._database.close()
            self._database = self._opened(discard=False)

    def close(self) -> None:
        self._database.close()

    # -- the commit that is indexed

    def tip(self) -> str | None:
        """Return the commit whose records are in the index."""
        return self._fetch_first("get_meta", key="tip")

    @contextmanager
    def updating(self) -> Iterator[IndexUpdate]:
        """Apply all changes together when the context ends, or none of them after an error."""
        with self._lock, self._database.transaction() as execute:
            yield IndexUpdate(execute)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all queries within the context see the same state of the index."""
        with self._lock, self._database.snapshot():
            yield

    # -- queries

    def rows(self, ids: Sequence[str] | None = None) -> list[Row]:
        """Return all runs, or those with these ids, newest first."""
        if ids is None:
            rows = self._fetch("rows")
        else:
            wanted = json.dumps(list(ids))
            rows = self._fetch("rows_of", ids=wanted)
        return [row_of(values) for values in rows]

    def live_rows(self) -> list[Row]:
        """Return the runs that are not over, newest first."""
        return [row_of(values) for values in self._fetch("live_rows")]

    def newest_rows(self, most: int, status: Status | None = None) -> list[Row]:
        """Return the newest runs, or the newest of those whose records have this status."""
        rows = self._fetch("newest_rows", most=most, status=status)
        return [row_of(values) for values in rows]

    def complete_tasks_of(self, run_id: str) -> list[str]:
        """Return the complete tasks of a run, in the order in which they ended."""
        rows = self._fetch("complete_tasks_of", run=run_id)
        return [task for (task,) in rows]

    def counts(self) -> dict[Status, int]:
        """Return the number of runs in each status."""
        return {Status(status): count for status, count in self._fetch("counts")}

    def counts_since(self, since: str) -> dict[Status, int]:
        """Return the number of runs in each status that ended at `since` or later."""
        counts = self._fetch("counts_since", since=since)
        return {Status(status): count for status, count in counts}

    def newest(self, back: int) -> str | None:
        """Return the id of the latest run (0), of the one before it (1), and so on."""
        return self._fetch_first("newest", back=min(back, _LARGEST_INTEGER))

    def latest_time(self) -> str | None:
        """Return the time of the run that is sorted as the newest, None if there is no run."""
        rows = self._fetch("latest_time")
        return rows[0][0] if rows else None

    def called(self, name: str) -> str | None:
        """Return the id of the newest run with this id or name."""
        run_id = name if name.isascii() else None
        return self._fetch_first("called", id=run_id, name=encoded(name))

    def all_called(self, name: str) -> list[str]:
        """Return the ids of the runs with this label or name, newest first."""
        rows = self._fetch("all_called", name=encoded(name))
        return [id for (id,) in rows]

    def unfinished_called(self, name: str) -> list[str]:
        """Return the ids of the runs of this name that are not over, newest first."""
        rows = self._fetch("unfinished_called", name=encoded(name))
        return [id for (id,) in rows]

    def labelled_with(self, words: Sequence[str]) -> list[Named]:
        """Return the runs whose labels have all these words, newest first."""
        longest = encoded(max(words, key=len))
        wanted = set(words)
        runs = map(named_of, self._fetch("labelled_with", word=longest))
        return [run for run in runs if wanted <= set(run.label.split())]

    def all_labelled(self, label: str) -> list[Named]:
        """Return the runs with this label, newest first."""
        return [*map(named_of, self._fetch("all_labelled", label=encoded(label)))]

    def beginning(self, prefix: str) -> list[Named]:
        """Return the runs whose ids begin with these hexadecimal digits, newest first."""
        return [*map(named_of, self._fetch("beginning", prefix=prefix))]

    def labelled(self, prefix: str, most: int) -> list[Named]:
        """Return the newest runs whose labels begin with `prefix`."""
        first = encoded(prefix)
        # No byte of UTF-8 is 0xff.
        found = self._fetch(
            "labelled", first=first, last=first + b"\xff", most=most
        )
        return [*map(named_of, found)]

    def names(self) -> list[str]:
        """Return the names of runs, each once, the most recently used first."""
        return [decoded(name) for (name,) in self._fetch("names")]

    def unreadable(self) -> list[RecordBroken]:
        """Return the runs whose records cannot be read, sorted by id."""
        runs = []
        for id, data, is_newer in self._fetch("unreadable"):
            reason = decoded(data)
            runs.append(RecordBroken(id, reason, is_newer=bool(is_newer)))
        return runs

    def by_identity(
        self, identities: Iterable[str] | None = None
    ) -> dict[str, tuple[str, Status, str]]:
        """Return id, status and label of the newest run of each identity.

        Runs that are FAILED or invalid do not count.

        `identities` restricts the result to these identities.
        """
        wanted = None if identities is None else json.dumps(list(identities))
        newest = {}
        for identity, id, status, label in self._fetch(
            "by_identity", identities=wanted
        ):
            newest[identity] = (id, Status(status), decoded(label))
        return newest

    def newest_labelled(self, labels: Iterable[str]) -> dict[str, Earlier]:
        """Return the newest run of each of these labels, by label.

        Runs that are FAILED or invalid do not count.
        """
        wanted = json.dumps(list(labels))
        newest = {}
        for label, run, identity, commit, ran in self._fetch(
            "newest_labelled", labels=wanted
        ):
            newest[decoded(label)] = Earlier(run, identity, commit, bool(ran))
        return newest

    def durations(self, kind: str, most: int) -> list[EarlierDuration]:
        """Return how long the newest complete tasks of a kind took, the newest first."""
        rows = self._fetch("durations", kind=encoded(kind), most=most)
        return [duration_of(values) for values in rows]

    def computed(self, key: str) -> list[tuple[str, str]]:
        """Return run and task of the complete tasks with this cache key, newest first."""
        return self._fetch("computed", key=key)

    def computed_like(self, name: str, task: str) -> tuple[str, ...]:
        """Return the runs of this name in which a task is complete and cached, newest first."""
        rows = self._fetch("computed_like", name=encoded(name), task=task)
        return tuple(run for (run,) in rows)

    def _fetch_first(self, statement: str, /, **values: Any) -> str | None:
        """Return the first column of the first row, or None if there is no row."""
        rows = self._fetch(statement, **values)
        return str(rows[0][0]) if rows else None

    def _fetch(self, statement: str, /, **values: Any) -> list[Any]:
        with self._lock:
            return self._database.fetch(statement, **values)

    # -- the file

    def _opened(self, *, discard: bool) -> Database:
        """Open or create the file, or use memory instead. `discard` deletes an existing file."""
        if self._path is not None:
            try:
                return self._opened_at(self._path, discard=discard)
            except (OSError, Busy, DatabaseBroken):
                pass  # the file cannot be written
        return _created(None, self._home)

    def _opened_at(self, path: Path, *, discard: bool) -> Database:
        # The lock is for one process at a time. Otherwise a database could get the -wal of another.
        with taken(path.with_suffix(".lock"), wait_s=FORMAT.timeout_s) as is_locked:
            if not is_locked:
                return _created(None, self._home)
            database = None if discard else _existing(path, self._home)
            if database is not None:
                return database
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _created(path, self._home)


class IndexUpdate:
    """Methods that change the index, within one transaction of `RunIndex.updating`."""

    def __init__(self, execute: Transaction) -> None:
        self._execute = execute

    @property
    def tip(self) -> str | None:
        """Return the commit whose records are in the index."""
        row = self._execute("get_meta", key="tip").fetchone()
        return row[0] if row else None

    def set_tip(self, tip: str | None) -> None:
        """Note that the index holds exactly the records of this commit."""
        self._execute("forget_meta", key="tip")
        if tip:
            self._execute("set_meta", key="tip", value=tip)

    def forget_all(self) -> None:
        self._execute("forget_all")
        self._execute("forget_all_unreadable")

    def forget(self, run_id: str) -> None:
        self._execute("forget", run=run_id)
        self._execute("forget_unreadable", run=run_id)

    def add_unreadable(self, broken: RecordBroken) -> None:
        """Add a run that is not in the index and whose record cannot be read."""
        self._execute(
            "add_unreadable",
            id=broken.run_id,
            reason=encoded(broken.reason),
            is_newer=broken.is_newer,
        )

    def add(self, row: Row, complete: Iterable[Complete]) -> None:
        """Add a run that is not in the index, with its complete tasks."""
        self._execute("add", **row_values(row))
        for task in complete:
            self._execute(
                "add_complete",
                run=row.id,
                name=encoded(row.name),
                **{**task._asdict(), "kind": encoded(task.kind)},
            )


_LARGEST_INTEGER = (1 << 63) - 1  # of SQLite


def _existing(path: Path, home: str) -> Database | None:
    """Return the index at `path`, or None if it is not of this format and repository."""
    if not path.exists():
        return None
    is_usable = False
    try:
        database = Database.open(path, FORMAT)
    except DatabaseBroken:
        return None
    try:
        if database.version() == FORMAT.version:
            is_usable = database.fetch("get_meta", key="home") == [(home,)]
    except DatabaseBroken:
        pass
    finally:
        if not is_usable:
            database.close()
    return database if is_usable else None


def _created(path: Path | None, home: str) -> Database:
    database = Database.open(path, FORMAT)
    with database.transaction() as execute:
        execute.script(statements(FORMAT.statements)["schema"])
        execute("set_meta", key="home", value=home)
        execute.set_version()
    return database
