"""All runs as they are now: the index, brought to the tip of the results branch, with the queue
laid over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import TypeVar

from gitorch.database.connection import DatabaseBroken
from gitorch.database.run_index import RunIndex
from gitorch.database.values import QueuedRun
from gitorch.errors import Busy
from gitorch.model.run.status import LIVE, Status
from gitorch.model.table.overlay import Run, laid_over
from gitorch.model.table.references import Named, find
from gitorch.model.table.row import Row, complete_tasks
from gitorch.runs.liveness import living
from gitorch.runs.site import Site

Answer = TypeVar("Answer")


class Catalog:
    """What can be asked of all runs without reading their records, by several threads at once.

    Each answer is as of the branch's tip; the queue is read once. Nothing that happens to the
    index's file is an error: it is made again, or done without.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    @classmethod
    def of(cls, site: Site) -> Catalog:
        """Raises GitorchError where a record cannot be read."""
        catalog = cls(site)
        catalog._ask(lambda index: None)
        return catalog

    def rows(self, ids: Sequence[str] | None = None) -> list[Row]:
        """All runs, or these, newest first."""
        self._look_at_queue()
        return list(map(self.laid, self._ask(lambda index: index.rows(ids))))

    def standing(self) -> tuple[list[Row], dict[Status, int]]:
        """The runs that are not over, newest first, and how many there are in each status."""
        self._look_at_queue()
        recorded, counted = self._ask(lambda index: (index.live_rows(), index.counts()))
        live = [row for row in map(self.laid, recorded) if row.status in LIVE]
        over = {status: count for status, count in counted.items() if status not in LIVE}
        return live, Counter(over) + Counter(row.status for row in live)

    def find(self, references: Iterable[str]) -> list[str]:
        """The ids of the runs that are meant, in the order they were named, each once. Raises
        NotFound, UsageError.
        """
        return list(dict.fromkeys(find(reference, self) for reference in references))

    def named(self, references: Iterable[str]) -> list[Row]:
        """The runs that are meant, in the order they were named, each once. Raises NotFound,
        UsageError.
        """
        ids = self.find(references)
        found = {row.id: row for row in self.rows(ids)} if ids else {}
        return [found[run] for run in ids if run in found]

    def names(self) -> list[str]:
        """What runs are called, each once, the newest first."""
        return self._ask(RunIndex.names)

    def by_identity(
        self, identities: Collection[str] | None = None
    ) -> dict[str, tuple[str, Status, str]]:
        """Id, status and label of the newest run of each identity, or of each of these; FAILED ones
        count for none.
        """
        found = self._ask(lambda index: index.by_identity(identities))
        live = [id for id, status, _ in found.values() if status in LIVE and id in self.queued]
        now = {row.id: row.status for row in self.rows(live)} if live else {}
        return {key: (id, now.get(id, status), label) for key, (id, status, label) in found.items()}

    def durations(self, name: str, task: str) -> list[float]:
        """How long this task took, in seconds, in the runs of this name in which it is complete."""
        return self._ask(lambda index: index.durations(name, task))

    def computed(self, key: str) -> list[tuple[str, str]]:
        """Run and id of the complete tasks with this key of the cache, newest first."""
        return self._ask(lambda index: index.computed(key))

    def computed_like(self, name: str, task: str) -> tuple[str, ...]:
        """The runs of this name in which this task is complete and has a key of the cache, newest
        first.
        """
        return self._ask(lambda index: index.computed_like(name, task))

    # As `model.select.Runs`

    def __len__(self) -> int:
        return sum(self._ask(RunIndex.counts).values())

    def newest(self, back: int) -> str | None:
        return self._ask(lambda index: index.newest(back))

    def called(self, name: str) -> str | None:
        return self._ask(lambda index: index.called(name))

    def beginning(self, prefix: str) -> list[Named]:
        return self._ask(lambda index: index.beginning(prefix))

    # The queue

    @cached_property
    def queued(self) -> dict[str, QueuedRun]:
        """What is in the queue, by id; reading makes no queue where there is none."""
        return (
            {run.id: run for run in self._site.queue.runs()}
            if self._site.queue_path.exists()
            else {}
        )

    @cached_property
    def alive(self) -> frozenset[str]:
        """The workers that are."""
        return living(self._site.state, self._site.queue.workers()) if self.queued else frozenset()

    def laid(self, run: Run) -> Run:
        """`run` as it is now: the queue laid over its record."""
        queued = self.queued.get(run.id)
        if queued is None:
            return run
        return laid_over(
            run,
            {task.id: task.status for task in queued.tasks},
            in_hand=queued.worker in self.alive,
        )

    def _look_at_queue(self) -> None:
        """Before the records: of a run that ends in between the record tells then, which is newer."""
        _ = self.queued, self.alive

    # The index

    def _ask(self, question: Callable[[RunIndex], Answer]) -> Answer:
        """The answer of the index as it is, or made anew, or held in memory."""
        index = self._site.index
        for mend in (index.renew, index.move_to_memory):
            try:
                return self._answer(index, question)
            except Busy:
                index.move_to_memory()
            except DatabaseBroken:
                mend()
        return self._answer(index, question)

    def _answer(self, index: RunIndex, question: Callable[[RunIndex], Answer]) -> Answer:
        if index.tip() != self._site.results.tip():
            self._bring_to_tip(index)
        with index.snapshot():
            return question(index)

    def _bring_to_tip(self, index: RunIndex) -> None:
        """Only what changed since is read. The tip is read under the index's lock, so that it is
        never taken back.
        """
        results = self._site.results
        with index.updating() as update:
            tip, indexed = results.tip(), update.tip
            if tip == indexed:
                return
            if tip and indexed and results.has(indexed):
                changed = results.changed_runs(indexed, tip)
                for run in changed:
                    update.forget(run)
                records = results.records_of(changed, tip)
            else:
                update.forget_all()
                records = results.records(tip) if tip else iter(())
            for record in records:
                update.add(Row.of(record), complete_tasks(record))
            update.set_tip(tip)
