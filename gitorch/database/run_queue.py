"""The queue: live runs and tasks, claimed by any number of workers at once.

Every change is one transaction, `BEGIN IMMEDIATE`, synchronous FULL: what was acknowledged survives a power cut. An
illegal change is refused by the statement itself: who does not bear the current attempt's token changes nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from msgspec import Struct, field

from gitorch.database.statements import schema, split, statements, upgrade
from gitorch.errors import Busy, GitorchError, Refused
from gitorch.model.run.outcome import Outcome
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status
from gitorch.tools.faults import boundary

UNLIMITED = Resources(cpus=1e9, gpus=1 << 30, memory_bytes=1 << 62)

# The results branch before and after a commit that the queue is told of.
Tip = tuple[str | None, str] | None

VERSION = 3
BUSY_TIMEOUT_S = 10.0


class QueueBroken(GitorchError):
    """The file is no queue of ours, or damaged."""

    kind = "queue-broken"


class NewTask(Struct, frozen=True, kw_only=True):
    id: str
    needs: tuple[str, ...]
    status: Status = Status.WAITING
    priority: int = 0
    attempts: int = 0
    outcome: Outcome | None = None
    resources: Resources = field(default_factory=Resources)


class NewRun(Struct, frozen=True, kw_only=True):
    """What joins the queue. `payload` is plain JSON, given back with each claim; finished tasks are left out."""

    id: str
    payload: Mapping[str, Any]
    tasks: tuple[NewTask, ...]
    held: bool = False


class Claim(Struct, frozen=True, kw_only=True):
    """A task that is ours to run: its attempt's number and token, and what is needed to run it."""

    run: str
    task: str
    number: int
    token: str
    started: str
    payload: Mapping[str, Any]
    retries: int = 0  # automatic ones before this attempt
    losses: int = 0  # attempts lost in a row before this one
    key: str | None = None  # of the cache, once it is known that this attempt computes it
    is_fresh: bool = False  # the run was in nobody's hands before


class QueuedTask(Struct, frozen=True, kw_only=True):
    """A task as the queue has it; `token`, `worker`, `started` are set while it is RUNNING, `outcome` in ERROR."""

    run: str
    id: str
    status: Status
    priority: int
    attempts: int
    token: str | None
    worker: str | None
    started: str | None
    not_before: str | None  # the end of its backoff
    outcome: Outcome | None
    key: str | None  # what it computes, or waits for while another computes it


class QueuedRun(Struct, frozen=True, kw_only=True):
    id: str
    worker: str | None  # who has it in hand
    held: bool
    tasks: tuple[QueuedTask, ...]

    @property
    def is_running(self) -> bool:
        return any(task.status is Status.RUNNING for task in self.tasks)


class Worker(Struct, frozen=True, kw_only=True):
    id: str
    host: str
    pid: int
    boot: str
    process_start: str
    since: str


class AttemptEnd(Struct, frozen=True, kw_only=True):
    """The end of an attempt: COMPLETE takes the task out of the queue, anything else is its new status."""

    run: str
    task: str
    token: str
    status: Status
    outcome: Outcome
    retries: int = 0
    losses: int = 0
    not_before: str | None = None
    ended: str | None = None  # by the clock that `not_before` is of


class Queue:
    """One connection to queue.db, usable from several threads of a process."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, home: str) -> Self:
        """Open the queue at `path`, making it if need be.

        `home` names the place it belongs to (host, device and inode of the common directory): in a copy of the
        repository nothing that the file says is running runs, and nobody is swept.
        Raises QueueBroken, Busy, Refused (made by a newer gitorch).
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with explained(path):
            if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
                return cls._open_to_read(path)
            connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            queue = cls(connection)
            queue._prepare(path, home)
            return queue

    @classmethod
    def _open_to_read(cls, path: Path) -> Self:
        """A queue on a read-only file system, as it lies there; changes are refused by SQLite.

        WAL wants to write even for reading, unless it is told that nobody else does (sqlite.org/wal.html#readonly).
        """
        how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        return cls(connection)

    def _prepare(self, path: Path, home: str) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise Refused(
                f"{path} was made by a newer gitorch (format {version}, this one knows {VERSION})",
                hint="upgrade gitorch: pip install --upgrade gitorch",
            )
        if version == VERSION and self.meta("home") == home:
            return
        with self._transaction() as run:
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            for script in [schema()] if version == 0 else map(upgrade, range(version, VERSION)):
                for statement in split(script):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
            known = run("get_meta", key="home").fetchone()
            if known and known["value"] != home:
                run("void_running")
                run("void_workers")
            run("set_meta", key="home", value=home)

    def close(self) -> None:
        self._connection.close()

    # -- runs

    def bring(self, runs: Iterable[NewRun], *, over: Iterable[str] = (), tip: Tip = None) -> None:
        """Make the queue say of these runs what their records say, and remove those that are `over`.

        A run joins the queue if it is not there, and so does a task that had left it. A task that runs stays as it is,
        and any other keeps the number of its attempts. `tip`: see `finish`.
        """
        with self._transaction() as run:
            for new in runs:
                payload = json.dumps(new.payload)
                if run("add_run", id=new.id, payload=payload, held=new.held).rowcount:
                    _add_tasks(run, new)
                else:
                    run("bring_run", id=new.id, payload=payload, held=new.held)
                    _bring_tasks(run, new)
            for run_id in over:
                run("remove_run", run=run_id)
            self._advance(run, tip)

    def remove(self, runs: Iterable[str]) -> None:
        self.bring([], over=runs)

    def doom(self, runs: Iterable[str]) -> None:
        """These runs are to be killed: nothing of them is claimed any more, and no attempt of them accepted."""
        with self._transaction() as run:
            for run_id in runs:
                run("doom_run", run=run_id)

    def doomed(self) -> frozenset[str]:
        return frozenset(row["id"] for row in self._fetch("doomed_runs"))

    def runs(self) -> list[QueuedRun]:
        """The live runs, in order of arrival."""
        with self._transaction("DEFERRED") as run:
            rows = run("runs").fetchall()
            tasks = [_task(row) for row in run("tasks")]
        of_run: dict[str, list[QueuedTask]] = {}
        for task in tasks:
            of_run.setdefault(task.run, []).append(task)
        return [_run(row, of_run.get(row["id"], [])) for row in rows]

    def run(self, run_id: str) -> QueuedRun | None:
        with self._transaction("DEFERRED") as run:
            row = run("run", run=run_id).fetchone()
            return _run(row, [_task(task) for task in run("tasks_of", run=run_id)]) if row else None

    # -- attempts

    def claim(
        self,
        worker: str,
        token: str,
        *,
        now: str,
        only: Sequence[str] | None = None,
        free: Resources = UNLIMITED,
        ahead: bool = False,
    ) -> Claim | None:
        """The first task that can run becomes `worker`'s; of the runs `only`, if given. None: there is none.

        It takes no more than is `free`: a smaller one goes before one that does not fit. `ahead`: it will not begin at
        once, so none that shares its worktree with one that runs, which may change the files that it is to find.
        """
        values = {"worker": worker, "token": token, "now": now, "only": _json(only), "ahead": ahead}
        with self._transaction() as run:
            # All rows are fetched, so that the statement is over when the transaction ends.
            rows = run("claim", **values, **_amounts(free)).fetchall()
            if not rows:
                return None
            row = rows[0]
            run("take_in_hand", run=row["run"], worker=worker)
        return _claim(row)

    def give_way(self, claim: Claim, key: str) -> bool:
        """Whether another task computes what has this key of the cache: then the claim waits again until none does."""
        with self._transaction() as run:
            return _gives_way(run, claim, key)

    def compute(self, claim: Claim, key: str, *, alongside: bool = False) -> bool:
        """Whether the claim is now the one to compute what has this key; else it is given back.

        `alongside`: also if another does.
        """
        with self._transaction() as run:
            values = {"run": claim.run, "task": claim.task, "token": claim.token, "key": key}
            if run("compute", **values, alongside=alongside).rowcount:
                return True
            _gives_way(run, claim, key)
        return False

    def is_current(self, run_id: str, task: str, token: str) -> bool:
        return bool(self._fetch("is_current", run=run_id, task=task, token=token))

    def finish(self, ends: Iterable[AttemptEnd], *, tip: Tip = None) -> list[AttemptEnd]:
        """Attempts have ended; gives those that were still current, the others change nothing.

        `tip` is (the results branch before, after) the commit that tells of them: the queue keeps how far it has
        been told, so that a crash between commit and queue is found at the next start by comparing two oids.
        """
        accepted = []
        with self._transaction() as run:
            for end in ends:
                if end.status is Status.COMPLETE:
                    cursor = run("finish_task", run=end.run, task=end.task, token=end.token)
                else:
                    cursor = run(
                        "end_task",
                        run=end.run,
                        task=end.task,
                        token=end.token,
                        status=str(end.status),
                        outcome=_outcome(end.outcome),
                        retries=end.retries,
                        losses=end.losses,
                        not_before=end.not_before,
                        ended=end.ended,
                    )
                if cursor.rowcount:
                    accepted.append(end)
                    run("let_go", run=end.run)
                    run("drop_emptied_run", run=end.run)
            self._advance(run, tip)
        return accepted

    def give_back(self, claim: Claim) -> None:
        """The claim comes to nothing: it is as if there had been none, or of a doomed run, nothing of it is left."""
        values = {"run": claim.run, "task": claim.task, "token": claim.token}
        with self._transaction() as run:
            if run("give_back", **values).rowcount and claim.is_fresh:
                run("hand_back", run=claim.run)
            run("end_doomed_task", **values)

    def end_doomed(self, run_id: str, task: str, token: str) -> None:
        """Nothing of this attempt of a doomed run is left running."""
        with self._transaction() as run:
            run("end_doomed_task", run=run_id, task=task, token=token)

    def running_in(self, run_id: str) -> list[tuple[Claim, str]]:
        """What runs of a run, each with its worker's id."""
        return [(_claim(row), row["worker"]) for row in self._fetch("running_in", run=run_id)]

    def counts_resources(self) -> bool:
        """Whether any task takes a counted part of its machine."""
        return bool(self._fetch("counts_resources"))

    def changes(self) -> int:
        """A number that differs when another connection has changed anything (PRAGMA data_version)."""
        with self._lock, explained():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def claimable(self, only: Sequence[str] | None = None, of: Resources = UNLIMITED) -> int:
        """How many tasks can be claimed, now or after their backoff, on a machine that has `of`."""
        return int(self._fetch("claimable", only=_json(only), **_amounts(of))[0][0])

    def next_runs(self, limit: int, only: Sequence[str] | None = None) -> list[str]:
        """The runs that will be begun next, in order."""
        found: dict[str, None] = {}
        with self._transaction("DEFERRED") as run:
            for row in run("next_runs", only=_json(only)):
                found.setdefault(row["id"])
                if len(found) == limit:
                    break
        return list(found)

    def payload(self, run_id: str) -> Mapping[str, Any] | None:
        rows = self._fetch("payload", run=run_id)
        return json.loads(rows[0]["payload"]) if rows else None

    def running_of(self, worker: str) -> list[Claim]:
        """What `worker` claimed and has not ended."""
        return [_claim(row) for row in self._fetch("running_of", worker=worker)]

    # -- workers

    def register(self, worker: Worker) -> None:
        with self._transaction() as run:
            run(
                "register_worker",
                id=worker.id,
                host=worker.host,
                pid=worker.pid,
                boot=worker.boot,
                process_start=worker.process_start,
                since=worker.since,
            )

    def unregister(self, worker: str) -> None:
        """The worker is gone; what it had in hand is in nobody's."""
        with self._transaction() as run:
            run("unregister_worker", id=worker)

    def workers(self) -> list[Worker]:
        return [Worker(**dict(row)) for row in self._fetch("workers")]

    # -- what the queue has been told

    def meta(self, key: str) -> str | None:
        rows = self._fetch("get_meta", key=key)
        return rows[0]["value"] if rows else None

    def _advance(self, run: _Execute, tip: Tip) -> None:
        match tip:
            case None:
                return
            case (None, after):
                run("set_meta", key="tip", value=after)
            case (before, after):
                run("advance_tip", parent=before, tip=after)

    # -- statements

    def _fetch(self, name: str, **values: Any) -> list[sqlite3.Row]:
        with self._lock, explained():
            return self._connection.execute(statements()[name], values).fetchall()

    @contextmanager
    def _transaction(self, mode: str = "IMMEDIATE") -> Iterator[_Execute]:
        """Statements that happen together or not at all."""
        with self._lock, explained():
            self._connection.execute(f"BEGIN {mode}")
            try:
                yield _Execute(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            boundary()


class _Execute:
    """Executes statements by their names in queries.sql."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __call__(self, name: str, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(statements()[name], values)


@contextmanager
def explained(path: Path | None = None) -> Iterator[None]:
    """SQLite's errors in words that say what to do."""
    where = path or "the queue"
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise Busy(
                f"{where} is locked: another program has been writing to it for {BUSY_TIMEOUT_S:.0f} s",
                hint="try again; `gitorch status` shows who is working",
            ) from error
        raise QueueBroken(
            f"cannot use {where}: {error}", hint="is the disk full, or the directory read-only?"
        ) from error
    except sqlite3.ProgrammingError:
        raise  # a bug of ours
    except sqlite3.DatabaseError as error:
        raise QueueBroken(
            f"{where} is damaged: {error}",
            hint="results are safe on the results branch; move queue.db* out of the way and run again: "
            "the queue is made anew from the records",
        ) from error


def _add_tasks(run: _Execute, new: NewRun) -> None:
    unfinished = {task.id for task in new.tasks}
    for position, task in enumerate(new.tasks):
        run(
            "add_task",
            run=new.id,
            id=task.id,
            position=position,
            priority=task.priority,
            status=str(task.status),
            attempts=task.attempts,
            outcome=_outcome(task.outcome),
            **_amounts(task.resources),
        )
        for needed in unfinished.intersection(task.needs):
            run("add_need", run=new.id, task=task.id, needed=needed)


def _bring_tasks(run: _Execute, new: NewRun) -> None:
    """Make the tasks of a run that is in the queue say what its record says."""
    unfinished = _json([task.id for task in new.tasks])
    run("forget_finished_tasks", run=new.id, unfinished=unfinished)
    _add_tasks(run, new)
    run("hold_tasks" if new.held else "release_tasks", run=new.id)
    for task in new.tasks:
        status, outcome = str(task.status), _outcome(task.outcome)
        run("set_task_status", run=new.id, task=task.id, status=status, outcome=outcome)
    run("let_go", run=new.id)
    run("drop_emptied_run", run=new.id)


def _outcome(outcome: Outcome | None) -> str | None:
    return json.dumps(outcome.to_json()) if outcome else None


def _gives_way(run: _Execute, claim: Claim, key: str) -> bool:
    gave_way = (
        run("give_way", run=claim.run, task=claim.task, token=claim.token, key=key).rowcount > 0
    )
    if gave_way and claim.is_fresh:
        run("hand_back", run=claim.run)
    return gave_way


def _amounts(resources: Resources) -> dict[str, float]:
    return {"cpus": resources.cpus, "gpus": resources.gpus, "memory": resources.memory_bytes}


def _json(only: Sequence[str] | None) -> str | None:
    return None if only is None else json.dumps(list(only))


def _claim(row: sqlite3.Row) -> Claim:
    return Claim(
        run=row["run"],
        task=row["id"],
        number=row["attempts"],
        token=row["token"],
        started=row["started"],
        payload=json.loads(row["payload"]),
        retries=row["retries"],
        losses=row["losses"],
        key=row["key"],
        is_fresh=bool(row["is_fresh"]),
    )


def _task(row: sqlite3.Row) -> QueuedTask:
    values = dict(row)
    outcome = values.pop("outcome")
    status = Status(values.pop("status"))
    return QueuedTask(
        **values, status=status, outcome=Outcome.from_json(json.loads(outcome)) if outcome else None
    )


def _run(row: sqlite3.Row, tasks: Sequence[QueuedTask]) -> QueuedRun:
    return QueuedRun(
        id=row["id"],
        worker=row["worker"],
        held=bool(row["held"]),
        tasks=tuple(tasks),
    )
