"""The queue: unfinished runs and their tasks, claimed by any number of workers at once.

Every change is one transaction with synchronous FULL, so that a power cut undoes no change after
the method has returned. The statements themselves refuse illegal changes: an attempt changes
nothing unless its token is the current token of the task.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from msgspec import structs

from gitorch.database import queue_file
from gitorch.database.connection import Database, Transaction
from gitorch.database.queue_file import FileId
from gitorch.database.queued_tasks import add_tasks, bring_tasks
from gitorch.database.values import (
    UNLIMITED,
    AttemptEnd,
    Claim,
    NewRun,
    QueuedRun,
    QueuedTask,
    Tip,
    Worker,
    amounts,
    outcome_json,
    parse_payload,
)
from gitorch.model.run.outcome import Outcome, read_outcome
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status


class Queue:
    """One connection to queue.db, usable from several threads of a process.

    All methods raise Busy if another program holds SQLite's lock for too long. They raise
    DatabaseBroken if the database cannot be used.
    """

    def __init__(
        self, path: Path, home: str, database: Database, file: FileId | None
    ) -> None:
        self._path = path
        self._home = home
        self._database = database
        self._file = file

    @classmethod
    def open(cls, path: Path, *, home: str) -> Self:
        """Open the queue at `path`. Create the file if it is missing.

        `home` identifies the repository (host, device and inode of its common directory). Raises
        DatabaseBroken, Busy, and Refused if a newer gitorch created the file.
        """
        database = queue_file.opened(path, home)
        return cls(path, home, database, queue_file.file_id(path))

    def is_replaced(self) -> bool:
        """Return True if the file was removed or replaced while it was open."""
        return queue_file.file_id(self._path) != self._file

    def reopen(self) -> None:
        """Open the file that is now at the path, or create it. No statement may be waiting."""
        # The old connection is closed when the last thread that uses it has ended its statement.
        self._database = queue_file.opened(self._path, self._home)
        self._file = queue_file.file_id(self._path)

    def close(self) -> None:
        self._database.close()

    # -- runs

    def bring(
        self,
        runs: Iterable[NewRun],
        *,
        over: Iterable[str] = (),
        tip: Tip = None,
        latest: str | None = None,
    ) -> None:
        """Make the queue agree with the records that `runs` were made from.

        Remove the runs in `over`. Add missing runs and tasks, and remove tasks that are COMPLETE in
        the record. RUNNING tasks are not changed. A task that is already queued keeps the number of
        its attempts. `tip`: see `finish`. `latest` is the time of the newest run of the change, see
        `begin_latest`.
        """
        with self._database.transaction() as execute:
            if latest is not None:
                execute("raise_latest", time=latest)
            for new in runs:
                payload = json.dumps(new.payload)
                added = execute(
                    "add_run", id=new.id, payload=payload, held=new.held
                ).rowcount
                if added:
                    add_tasks(execute, new)
                else:
                    execute("bring_run", id=new.id, payload=payload, held=new.held)
                    bring_tasks(execute, new)
            for run_id in over:
                execute("remove_run", run=run_id)
            _advance(execute, tip)

    def remove(self, runs: Iterable[str]) -> None:
        self.bring([], over=runs)

    def request_kill(self, runs: Iterable[str]) -> None:
        """Keep these runs from being claimed, and reject the ends of their running attempts."""
        with self._database.transaction() as execute:
            for run_id in runs:
                execute("request_kill", run=run_id)

    def kill_requests(self) -> frozenset[str]:
        """Return the runs that are to be killed."""
        return frozenset(row["id"] for row in self._database.fetch("kill_requests"))

    def runs(self) -> list[QueuedRun]:
        """Return all runs, in order of arrival."""
        with self._database.snapshot() as execute:
            runs = execute("runs").fetchall()
            tasks = execute("tasks").fetchall()
        tasks_by_run: dict[str, list[QueuedTask]] = {}
        for row in tasks:
            tasks_by_run.setdefault(row["run"], []).append(QueuedTask.from_row(row))
        return [
            QueuedRun.from_row(row, tasks_by_run.get(row["id"], ())) for row in runs
        ]

    def run(self, run_id: str) -> QueuedRun | None:
        with self._database.snapshot() as execute:
            row = execute("run", run=run_id).fetchone()
            tasks = execute("tasks_of", run=run_id).fetchall()
        if row is None:
            return None
        return QueuedRun.from_row(row, map(QueuedTask.from_row, tasks))

    def payload(self, run_id: str) -> Mapping[str, Any] | None:
        rows = self._database.fetch("payload", run=run_id)
        return parse_payload(rows[0]["payload"]) if rows else None

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
        above: int | None = None,
        full: Sequence[str] = (),
    ) -> Claim | None:
        """Claim the first task that can run for `worker`. Return None if there is none.

        `only` restricts the claim to these runs. Tasks that need more than the `free` resources are
        skipped. `ahead` means that the attempt will begin later. In this case, runs with a RUNNING
        task are skipped, since that task may change files in the shared worktree. `above` skips
        the tasks that do not have a higher priority. `full` skips the tasks of these engines; "" is
        the engine of tasks that name none.
        """
        with self._database.transaction() as execute:
            # Fetching all rows finishes the statement before the transaction ends.
            rows = execute(
                "claim",
                worker=worker,
                token=token,
                now=now,
                only=_json(only),
                ahead=ahead,
                above=above,
                full=_json(full or None),
                **amounts(free),
            ).fetchall()
            if not rows:
                return None
            [row] = rows
            execute("assign_run", run=row["run"], worker=worker)
            is_first = execute("begin_run", run=row["run"]).rowcount > 0
        return Claim.from_row(row, is_first=is_first)

    def give_way(self, claim: Claim, key: str) -> bool:
        """Undo the claim if another task is computing `key`. Return True if it was undone.

        The task can be claimed again when the other task ends.
        """
        with self._database.transaction() as execute:
            return _give_way(execute, claim, key)

    def compute(self, claim: Claim, key: str, *, alongside: bool = False) -> bool:
        """Note that the claimed attempt computes `key`. Return False if another task already does.

        In this case the claim is undone. `alongside` skips the check for another task.
        """
        with self._database.transaction() as execute:
            noted = execute(
                "compute", **_current(claim), key=key, alongside=alongside
            ).rowcount
            if noted:
                return True
            _give_way(execute, claim, key)
        return False

    def failures_of(self, key: str, since: str) -> list[tuple[str, str, Outcome]]:
        """Return run, task and outcome of the attempts that computed `key` and failed `since`."""
        failures = []
        rows = self._database.fetch("failures_of", key=key, since=since)
        for run_id, task, text in rows:
            failures.append((run_id, task, read_outcome(json.loads(text))))
        return failures

    def is_current(self, run_id: str, task: str, token: str) -> bool:
        """Return True if the current attempt has this token and the run is not to be killed."""
        return bool(
            self._database.fetch("is_current", run=run_id, task=task, token=token)
        )

    def finish(
        self, ends: Iterable[AttemptEnd], *, tip: Tip = None
    ) -> list[AttemptEnd]:
        """Apply the ends of current attempts. Return these ends; the others change nothing.

        `tip` names the commits of the results branch before and after the one that records these
        ends. The queue stores the last commit that it follows. After a crash between the commit and
        this call, the next start finds the difference by comparing the stored commit with the
        branch.
        """
        accepted = []
        with self._database.transaction() as execute:
            for end in ends:
                if _finish(execute, end):
                    accepted.append(end)
                    execute("unassign_stuck_run", run=end.run)
                    execute("drop_emptied_run", run=end.run)
            _advance(execute, tip)
        return accepted

    def give_back(self, claim: Claim) -> None:
        """Undo the claim of an attempt that did not begin.

        If the run is to be killed, remove the task instead.
        """
        with self._database.transaction() as execute:
            given_back = execute("give_back", **_current(claim)).rowcount > 0
            if given_back:
                _unassign(execute, claim)
            execute("end_killed_task", **_current(claim))

    def end_killed_task(self, run_id: str, task: str, token: str) -> None:
        """Remove a task of a run that is to be killed, once no process of the attempt is left."""
        with self._database.transaction() as execute:
            execute("end_killed_task", run=run_id, task=task, token=token)

    def running_in(self, run_id: str) -> list[tuple[Claim, str]]:
        """Return the claims of a run's RUNNING tasks, each with the id of its worker."""
        rows = self._database.fetch("running_in", run=run_id)
        return [(Claim.from_row(row), row["worker"]) for row in rows]

    def running_of(self, worker: str) -> list[Claim]:
        """Return the claims of `worker` that have not ended."""
        return [
            Claim.from_row(row)
            for row in self._database.fetch("running_of", worker=worker)
        ]

    def counts_resources(self) -> bool:
        """Return True if any task asks for resources."""
        return bool(self._database.fetch("counts_resources"))

    def engines(self, only: Sequence[str] | None = None) -> list[str]:
        """Return the engines that unfinished tasks name."""
        rows = self._database.fetch("engines", only=_json(only))
        return [row["engine"] for row in rows]

    def changes(self) -> int:
        """Return a number that differs after another connection has changed anything."""
        return int(self._database.query("PRAGMA data_version")[0][0])

    def claimable(
        self, only: Sequence[str] | None = None, of: Resources = UNLIMITED
    ) -> int:
        """Count the tasks that a machine with the resources `of` can claim, now or later."""
        return int(
            self._database.fetch("claimable", only=_json(only), **amounts(of))[0][0]
        )

    def next_runs(self, limit: int, only: Sequence[str] | None = None) -> list[str]:
        """Return the runs that will start next, in order."""
        ids: dict[str, None] = {}
        with self._database.snapshot() as execute:
            for row in execute("next_runs", only=_json(only)):
                ids.setdefault(row["id"])
                if len(ids) == limit:
                    break
        return list(ids)

    # -- workers

    def register(self, worker: Worker) -> None:
        """Add a worker. A worker that is already registered does not change."""
        with self._database.transaction() as execute:
            execute("register_worker", **structs.asdict(worker))

    def unregister(self, worker: str) -> None:
        """Remove a worker that has ended, and unassign its runs."""
        with self._database.transaction() as execute:
            execute("unregister_worker", id=worker)

    def workers(self) -> list[Worker]:
        return [Worker(**dict(row)) for row in self._database.fetch("workers")]

    def entrust(self, worker: Worker, claim: Claim) -> None:
        """Note that `worker` executes an attempt, which was claimed in a file that is gone."""
        with self._database.transaction() as execute:
            execute("register_worker", **structs.asdict(worker))
            execute(
                "entrust",
                **_current(claim),
                number=claim.number,
                worker=worker.id,
                started=claim.started,
            )
            execute("assign_run", run=claim.run, worker=worker.id)

    def void(self, claim: Claim) -> None:
        """Let the task of an attempt whose end is not accepted wait again."""
        with self._database.transaction() as execute:
            execute("void", **_current(claim))

    # -- copies

    def is_copy(self) -> bool:
        """Return True if the file was copied from another repository."""
        recorded = self.meta("home")
        return recorded is not None and not queue_file.is_same_home(
            recorded, self._home
        )

    def void_copied(self, alive: Iterable[str]) -> None:
        """Make a copied file this repository's own.

        Its RUNNING tasks belong to the original, unless their worker is `alive`.
        """
        with self._database.transaction() as execute:
            execute("void_running", alive=_json(list(alive)))
            execute("void_workers", alive=_json(list(alive)))
            execute("set_meta", key="home", value=self._home)

    # -- the commit of the results branch that the queue follows

    def meta(self, key: str) -> str | None:
        rows = self._database.fetch("get_meta", key=key)
        return rows[0]["value"] if rows else None

    def begin_latest(self, time: str) -> None:
        """Note the time of the newest run. `bring` keeps it current from now on."""
        with self._database.transaction() as execute:
            execute("set_meta", key="latest", value=time)


def _advance(execute: Transaction, tip: Tip) -> None:
    """Store the new tip, unless the queue has missed an earlier commit."""
    match tip:
        case None:
            return
        case (None, after):
            execute("set_meta", key="tip", value=after)
        case (before, after):
            execute("advance_tip", parent=before, tip=after)


def _finish(execute: Transaction, end: AttemptEnd) -> bool:
    """Apply the end of one attempt. Return False if it was not the current attempt."""
    if end.status is Status.COMPLETE:
        cursor = execute("finish_task", run=end.run, task=end.task, token=end.token)
    else:
        cursor = execute(
            "end_task",
            run=end.run,
            task=end.task,
            token=end.token,
            status=str(end.status),
            outcome=outcome_json(end.outcome),
            retries=end.retries,
            losses=end.losses,
            not_before=end.not_before,
            ended=end.ended,
        )
    return cursor.rowcount > 0


def _give_way(execute: Transaction, claim: Claim, key: str) -> bool:
    gave_way = execute("give_way", **_current(claim), key=key).rowcount > 0
    if gave_way:
        _unassign(execute, claim)
    return gave_way


def _unassign(execute: Transaction, claim: Claim) -> None:
    """Undo what a claim that is undone has changed about its run."""
    if claim.is_fresh:
        execute("unassign_run", run=claim.run)
    if claim.is_first:
        execute("unbegin_run", run=claim.run)


def _current(claim: Claim) -> dict[str, str]:
    """Return what identifies an attempt in a statement."""
    return {"run": claim.run, "task": claim.task, "token": claim.token}


def _json(ids: Sequence[str] | None) -> str | None:
    return None if ids is None else json.dumps(list(ids))
