"""The current state of all runs: the index of their records, with the queue laid over it.

The index is brought to the tip of the results branch before it is queried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import TypeVar

from msgspec.structs import replace

from gitorch.database.connection import DatabaseBroken
from gitorch.database.run_index import (
    DAMAGED_ROW,
    Earlier,
    IndexUpdate,
    RunIndex,
)
from gitorch.database.values import QueuedRun, QueuedTask, Running, Waiting
from gitorch.errors import Busy, NotFound
from gitorch.model.estimate.history import EarlierDuration
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.run.status import LIVE, Status
from gitorch.model.table.overlay import Run, with_queue
from gitorch.model.table.references import Named, find, find_all
from gitorch.model.table.row import Row, complete_tasks
from gitorch.storage.attempt_owner import start_of
from gitorch.storage.liveness import living
from gitorch.storage.queued_last import queued_last
from gitorch.storage.records import each_record
from gitorch.storage.site import Site

Answer = TypeVar("Answer")


class Catalog:
    """Queries over all runs that do not read their records. Several threads may use one catalog.

    Each answer reflects the tip of the branch. The queue is read only once. A damaged or busy index
    is not an error: it is built again, or replaced by an index in memory.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._knows_references = False
        self._is_unsettled = False

    @classmethod
    def of(cls, site: Site) -> Catalog:
        """Return a catalog with an up-to-date index."""
        catalog = cls(site)
        catalog._query(lambda index: None)
        return catalog

    def rows(self, run_ids: Sequence[str] | None = None) -> list[Row]:
        """Return the rows of all runs, or of `run_ids`, newest first."""
        self._read_queue()
        recorded = self._query(lambda index: index.rows(run_ids))
        return [self.current(row) for row in recorded]

    def recorded(self, run_ids: Sequence[str] | None = None) -> list[Row]:
        """Return the rows of all runs, or of `run_ids`, as their records are, newest first."""
        return self._query(lambda index: index.rows(run_ids))

    def standing(self) -> tuple[list[Row], dict[Status, int]]:
        """Return the unfinished runs, newest first, and the number of runs in each status."""
        self._read_queue()
        recorded, counts = self._query(
            lambda index: (index.live_rows(), index.counts())
        )
        current = [self.current(row) for row in recorded]
        live = [row for row in current if row.status in LIVE]
        totals: Counter[Status] = Counter()
        for status, count in counts.items():
            if status not in LIVE:
                totals[status] = count
        totals.update(row.status for row in live)
        return live, totals

    def counts_since(self, since: str) -> dict[Status, int]:
        """Return the number of runs in each status that ended at `since` or later."""
        return self._query(lambda index: index.counts_since(since))

    def not_queued(self) -> list[Row]:
        """Return the live runs that the queue does not have, newest first."""
        self._read_queue()
        counts = self._query(RunIndex.counts)
        live = sum(count for status, count in counts.items() if status in LIVE)
        if live <= len(self.queued):
            return []
        rows = self._query(RunIndex.live_rows)
        return [row for row in rows if row.id not in self.queued]

    def find(self, references: Iterable[str]) -> list[str]:
        """Return the ids of the runs that `references` name, in their order, without repetition.

        Raises NotFound, RecordBroken, and UsageError if a reference is ambiguous.
        """
        run_ids: dict[str, None] = {}
        for reference in references:
            found = self._explained(find_all, reference)
            run_ids.update(dict.fromkeys(found))
        self._site.named_runs.update(run_ids)
        return list(run_ids)

    def find_one(self, reference: str) -> str:
        """Return the id of the only run that `reference` names.

        Raises NotFound, RecordBroken, and UsageError if it names several.
        """
        run_id = self._explained(find, reference)
        self._site.named_runs.add(run_id)
        return run_id

    def _explained(
        self, search: Callable[[str, Catalog], Answer], reference: str
    ) -> Answer:
        """Return what a search finds. If it finds nothing, the error says if a run was killed."""
        try:
            return search(reference, self)
        except NotFound as error:
            from gitorch.storage.killed_runs import explained  # noqa: PLC0415  rare

            raise explained(self._site, reference, error) from None

    def latest_time(self) -> str | None:
        """Return the time of the run that is sorted as the newest, None if there is no run."""
        return self._query(RunIndex.latest_time)

    def named(self, references: Iterable[str]) -> list[Row]:
        """Return the rows of the runs that `references` name, in their order, without repetition.

        Raises NotFound, RecordBroken, and UsageError if a reference is ambiguous.
        """
        run_ids = self.find(references)
        if not run_ids:
            return []
        rows = {row.id: row for row in self.rows(run_ids)}
        return [rows[run_id] for run_id in run_ids if run_id in rows]

    def note_selected(self, rows: Iterable[Row]) -> None:
        """Note that the user has selected these runs for a command."""
        self._site.named_runs.update(row.id for row in rows)

    def unfinished_called(self, name: str) -> list[Row]:
        """Return the rows of the runs of this name that are not over, newest first."""
        run_ids = self._query(lambda index: index.unfinished_called(name))
        return self.rows(run_ids) if run_ids else []

    def unreadable(self) -> list[RecordBroken]:
        """Return the runs whose records cannot be read, sorted by id."""
        return self._query(RunIndex.unreadable)

    def names(self) -> list[str]:
        """Return the names of all runs, newest first, without repetition."""
        return self._query(RunIndex.names)

    def labelled(self, prefix: str, most: int) -> list[Named]:
        """Return the newest runs whose labels begin with `prefix`."""
        return self._query(lambda index: index.labelled(prefix, most))

    def newest_rows(self, most: int, status: Status | None = None) -> list[Row]:
        """Return the newest runs, or the newest of those whose records have this status."""
        self._read_queue()
        recorded = self._query(lambda index: index.newest_rows(most, status))
        return [self.current(row) for row in recorded]

    def complete_tasks_of(self, run_id: str) -> list[str]:
        """Return the complete tasks of a run, in the order in which they ended."""
        return self._query(lambda index: index.complete_tasks_of(run_id))

    def by_identity(
        self, identities: Collection[str] | None = None
    ) -> dict[str, tuple[str, Status, str]]:
        """Return the id, status and label of the newest run with each identity.

        If `identities` is given, other identities are left out. Runs that are FAILED or invalid do
        not count.
        """
        newest = self._query(lambda index: index.by_identity(identities))
        queued = []
        for run_id, status, _ in newest.values():
            if status in LIVE and run_id in self.queued:
                queued.append(run_id)
        if queued:
            statuses = {row.id: row.status for row in self.rows(queued)}
            for identity, (run_id, status, label) in newest.items():
                newest[identity] = run_id, statuses.get(run_id, status), label
        return newest

    def durations(self, kind: str, most: int) -> list[EarlierDuration]:
        """Return how long the newest complete tasks of a kind took, the newest first."""
        return self._query(lambda index: index.durations(kind, most))

    def computed(self, key: str) -> list[tuple[str, str]]:
        """Return run and task of the complete tasks with this cache key, newest first."""
        return self._query(lambda index: index.computed(key))

    def computed_like(self, name: str, task: str) -> tuple[str, ...]:
        """Return the runs of this name in which this task is complete and cached, newest first."""
        return self._query(lambda index: index.computed_like(name, task))

    # The protocol `model.table.select.RunNames`

    def __len__(self) -> int:
        return sum(self._query(RunIndex.counts).values())

    def newest(self, back: int) -> str | None:
        return self._query(lambda index: index.newest(back))

    def newest_labelled(self, labels: Collection[str]) -> dict[str, Earlier]:
        """Return the newest run of each of these labels, by label.

        Runs that are FAILED or invalid do not count.
        """
        return self._query(lambda index: index.newest_labelled(labels))

    def called(self, name: str) -> str | None:
        return self._query(lambda index: index.called(name))

    def all_called(self, name: str) -> list[str]:
        return self._query(lambda index: index.all_called(name))

    def all_labelled(self, label: str) -> list[Named]:
        return self._query(lambda index: index.all_labelled(label))

    def labelled_with(self, words: Sequence[str]) -> list[Named]:
        return self._query(lambda index: index.labelled_with(words))

    def queued_last(self) -> list[Named]:
        run_ids = queued_last(self._site)
        if not run_ids:
            return []
        rows = self._query(lambda index: index.rows(run_ids))
        return [
            Named(row.id, row.name, row.label, row.identity, row.created)
            for row in rows
        ]

    def beginning(self, prefix: str) -> list[Named]:
        return self._query(lambda index: index.beginning(prefix))

    # The queue

    @cached_property
    def queued(self) -> dict[str, QueuedRun]:
        """The runs in the queue, by id. A queue that does not exist is not created."""
        if not self._site.queue_path.exists():
            return {}
        return {run.id: run for run in self._site.queue.runs()}

    @cached_property
    def alive(self) -> frozenset[str]:
        """The ids of the workers that are alive."""
        if not self.queued:
            return frozenset()
        return living(self._site.state, self._site.queue.workers())

    def current(self, run: Run) -> Run:
        """Return the current state of a recorded run: its record with the queue laid over it."""
        queued = self.shown.get(run.id)
        if queued is None:
            return run
        statuses = {task.id: task.status for task in queued.tasks}
        has_begun = run.started is not None or queued.is_running
        has_worker = has_begun and queued.worker in self.alive
        return with_queue(run, statuses, has_worker=has_worker)

    @cached_property
    def shown(self) -> dict[str, QueuedRun]:
        """The runs in the queue as they are shown: a task that is only claimed is WAITING."""
        shown = {}
        for run_id, run in self.queued.items():
            if run.is_running:
                run = replace(run, tasks=tuple(map(self._shown, run.tasks)))
            shown[run_id] = run
        return shown

    def _shown(self, task: QueuedTask) -> QueuedTask:
        """Return a queued task with the time when its attempt really started.

        In a copied queue, no task is run by a dead worker: it is a worker of the original.
        """
        running = task.state
        if not isinstance(running, Running):
            return task
        if running.worker not in self.alive and self._is_copy:
            return replace(task, state=Waiting())
        directory = self._site.directory(task.run).attempt(task.id, task.attempts)
        started = start_of(directory, claimed=running.started)
        if started is None:
            return replace(task, state=Waiting(is_claimed=True))
        return replace(task, state=replace(running, started=started))

    @cached_property
    def _is_copy(self) -> bool:
        return self._site.queue.is_copy()

    def _read_queue(self) -> None:
        """Read the queue before the records: if a run ends in between, the newer record wins."""
        _ = self.shown, self.alive

    # The index

    def _query(self, query: Callable[[RunIndex], Answer]) -> Answer:
        """Return the index's answer to `query`.

        A broken index is built again, and then, if it is still broken, in memory.
        """
        index = self._site.index
        for replace_broken in (index.renew, index.move_to_memory):
            try:
                return self._query_current(index, query)
            except Busy:
                index.move_to_memory()
            except (DatabaseBroken, *DAMAGED_ROW):
                replace_broken()
        return self._query_current(index, query)

    def _query_current(
        self, index: RunIndex, query: Callable[[RunIndex], Answer]
    ) -> Answer:
        if index.tip() != self._site.results.tip() or self._lacks_references():
            self._settle(index)
            self._bring_to_tip(index)
        with index.snapshot():
            return query(index)

    def _lacks_references(self) -> bool:
        """Return True if gitorch's own references are gone although this clone has queued runs.

        The branch itself may then be read from a remote. This is asked once.
        """
        if self._knows_references:
            return False
        self._knows_references = True
        return self._site.queue_path.exists() and self._site.results.kept() is None

    def _settle(self, index: RunIndex) -> None:
        """Restore the branch if another git program has changed it so that runs may be lost.

        If this is impossible, the index in the file stays as it is, since it has the only trace of
        them.
        """
        if self._is_unsettled:
            return
        try:
            self._site.results.settle(has_written=self._site.queue_path.exists())
        except (Busy, OSError) as error:
            self._is_unsettled = True
            index.move_to_memory()
            self._site.warn(f"lost results cannot be restored now: {error}")

    def _bring_to_tip(self, index: RunIndex) -> None:
        """Update the index from the records that changed.

        The tip is read while the index is locked. Otherwise a slower program could set the index
        back to an older tip.
        """
        results = self._site.results
        with index.updating() as update:
            tip, indexed_tip = results.tip(), update.tip
            if tip == indexed_tip:
                return
            changed = None
            if tip and indexed_tip:
                changed = results.changes(indexed_tip, tip)
            if changed is None:
                update.forget_all()
            else:
                for run_id in changed:
                    update.forget(run_id)
            _add_records(update, self._site, changed, tip)
            update.set_tip(tip)


def _add_records(
    update: IndexUpdate,
    site: Site,
    run_ids: Sequence[str] | None,
    commit: str | None,
) -> None:
    """Add the runs that `commit` has, of `run_ids` if given."""
    if commit is None:
        return
    for _, record in each_record(site, run_ids, commit):
        if isinstance(record, Record):
            try:
                update.add(Row.of(record), complete_tasks(record))
                continue
            except (
                UnicodeError,
                OverflowError,
            ) as error:  # SQLite cannot store a value
                update.forget(record.id)
                record = RecordBroken(record.id, str(error))
        update.add_unreadable(record)
