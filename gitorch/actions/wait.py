"""`gitorch wait`: wait until runs have ended, or cannot continue by themselves."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.changeable import refusal_of_foreign_run
from gitorch.actions.run_targets import find_targets
from gitorch.actions.selection import Selection, select_rows
from gitorch.actions.status import status
from gitorch.errors import Busy, Refused
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import all_of
from gitorch.storage.catalog import Catalog
from gitorch.storage.liveness import living
from gitorch.storage.site import Site

_MOVING = (Status.WAITING, Status.RUNNING)
_LOOK_S = 0.1  # a look at a number in the queue's file
_WORKERS_S = (
    1.0  # a look at the locks of the workers, which change nothing when they die
)
# A look at the runs themselves takes a tenth of the time at most.
_REST = 10.0
_HEARTBEAT_S = 30.0
# A worker that was started at the same time may still recover from the end of another one.
PATIENCE_S = 15.0


class AwaitedRun(Struct, frozen=True, kw_only=True):
    """A run that does not continue by itself. The status of a killed run is None."""

    id: str
    label: str
    status: Status | None


class Waited(Struct, frozen=True, kw_only=True):
    """The runs that were waited for, in the order in which they ended."""

    runs: tuple[AwaitedRun, ...]

    @property
    def has_failed(self) -> bool:
        """Return True if one of the runs is not complete."""
        return any(run.status is not Status.COMPLETE for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        runs = []
        killed = []
        for run in self.runs:
            if run.status is None:
                killed.append({"id": run.id, "label": run.label})
            else:
                runs.append(
                    {"id": run.id, "label": run.label, "status": str(run.status)}
                )
        document: dict[str, Any] = {"schema": "gitorch/wait/v1", "runs": runs}
        if killed:
            document["killed"] = killed
        return document


class Awaiting(Struct, frozen=True, kw_only=True):
    """The runs that are still waited for. `has_worker` is True if a worker is alive.

    `left` is the time until the last of them has ended, None if it is unknown.
    """

    counts: dict[Status, int]
    has_worker: bool
    left: Estimate | None = None

    def __str__(self) -> str:
        """Return a phrase such as `1 running and 3 queued runs`."""
        parts = []
        for each, word in (
            (Status.RUNNING, "running"),
            (Status.WAITING, "queued"),
        ):
            if self.counts.get(each):
                parts.append(f"{self.counts[each]} {word}")
        return f"{all_of(parts)} {'run' if self.total == 1 else 'runs'}"

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def wait(
    site: Site,
    selection: Selection,
    listener: Callable[[AwaitedRun | Awaiting], object],
    *,
    notify: Callable[[str], object] = str,
    timeout_s: float = math.inf,
    patience_s: float = PATIENCE_S,
) -> Waited:
    """Wait until none of the selected runs is WAITING or RUNNING. Return how they ended.

    An empty selection means all runs of this clone that are WAITING or RUNNING now. `listener`
    hears of each end, and what is still waited for: at the start, when the last worker ends, and
    every 30 seconds.
    Raises Busy after `timeout_s`. If no time limit is given, raises Busy when no worker has been
    alive for `patience_s`.
    """
    rows = _selected(site, selection, notify)
    return _Wait(site, rows, listener, timeout_s, patience_s).wait()


def _selected(
    site: Site, selection: Selection, notify: Callable[[str], object]
) -> list[Row]:
    """Return the selected runs. Raises Refused if a named run cannot end in this clone."""
    catalog = Catalog.of(site)
    clone = site.repository.clone_id()
    if selection.is_named:
        run_ids, notes = find_targets(site, selection)
        for note in notes:
            notify(note)
        rows = {row.id: row for row in catalog.rows(run_ids)}
        ordered = [rows[run_id] for run_id in run_ids if run_id in rows]
        _require_own(site, ordered)
        return ordered
    if selection.is_empty:
        rows_of_all, _ = catalog.standing()
        candidates = [row for row in rows_of_all if row.status in _MOVING]
    else:
        candidates = select_rows(catalog, selection, "wait")
    return [
        row for row in candidates if row.clone == clone or row.status not in _MOVING
    ]


def _require_own(site: Site, rows: Sequence[Row]) -> None:
    for row in rows:
        foreign = None
        if row.status in _MOVING:
            foreign = refusal_of_foreign_run(site, "run", row)
        if foreign is not None:
            raise Refused(*foreign)


class _Wait:
    """One wait for some runs."""

    def __init__(
        self,
        site: Site,
        rows: Sequence[Row],
        listener: Callable[[AwaitedRun | Awaiting], object],
        timeout_s: float,
        patience_s: float,
    ) -> None:
        self._site = site
        self._listener = listener
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._pending = {row.id: row.label for row in rows}
        self._ended: list[AwaitedRun] = []
        self._counts: Counter[Status] = Counter()
        self._version = -1
        self._next_look = 0.0
        self._has_worker = True

    def wait(self) -> Waited:
        began = time.monotonic()
        worker_seen = began
        next_workers = began
        next_word = began
        while True:
            self._look_at_runs()
            if not self._pending:
                return Waited(runs=tuple(self._ended))
            now = time.monotonic()
            if now >= next_workers:
                next_workers = now + _WORKERS_S
                had_worker, self._has_worker = (
                    self._has_worker,
                    self._is_any_alive(),
                )
                if had_worker and not self._has_worker:
                    worker_seen = next_word = now
                if self._has_worker:
                    worker_seen = now
            if now >= next_word:
                next_word = now + _HEARTBEAT_S
                self._listener(replace(self._awaiting(), left=self._time_left()))
            self._require_time(now - began, now - worker_seen)
            time.sleep(min(_LOOK_S, max(0.0, began + self._timeout_s - now)))

    def _look_at_runs(self) -> None:
        """Read the runs that are waited for, if the queue has changed."""
        if not self._pending or time.monotonic() < self._next_look:
            return
        if not self._has_changed():
            return
        began = time.monotonic()
        rows = {
            row.id: row for row in Catalog.of(self._site).rows([*self._pending])
        }
        self._counts.clear()
        for run_id, label in list(self._pending.items()):
            current = rows[run_id].status if run_id in rows else None
            if current in _MOVING:
                self._counts[current] += 1
                continue
            del self._pending[run_id]
            self._ended.append(AwaitedRun(id=run_id, label=label, status=current))
            self._listener(self._ended[-1])
        ended = time.monotonic()
        self._next_look = ended + (ended - began) * _REST

    def _has_changed(self) -> bool:
        """Return True if the queue has changed. A queue that does not exist is not created."""
        if not self._site.queue_path.exists():
            return True
        queue = self._site.queue
        if queue.is_replaced():
            queue.reopen()
            self._version = -1
        version = queue.changes()
        if version == self._version:
            return False
        self._version = version
        return True

    def _is_any_alive(self) -> bool:
        if not self._site.queue_path.exists():
            return False
        return bool(living(self._site.state, self._site.queue.workers()))

    def _awaiting(self) -> Awaiting:
        return Awaiting(counts=dict(self._counts), has_worker=self._has_worker)

    def _time_left(self) -> Estimate | None:
        if not self._has_worker:
            return None
        last: Estimate | None = None
        for run in status(self._site).runs:
            if run.id not in self._pending:
                continue
            if run.eta is None:
                return None
            last = max(last or run.eta, run.eta, key=attrgetter("p50"))
        return last

    def _require_time(self, waited_s: float, without_worker_s: float) -> None:
        if waited_s >= self._timeout_s:
            raise Busy(
                f"the time of --timeout is over, and {self._left()}",
                hint="gitorch status shows what they are doing",
            )
        if self._timeout_s == math.inf and without_worker_s >= self._patience_s:
            raise Busy(
                f"no worker is running, and {self._left()}",
                hint="gitorch run --detach starts one; then gitorch wait again",
            )

    def _left(self) -> str:
        awaiting = self._awaiting()
        return f"{awaiting} {'is' if awaiting.total == 1 else 'are'} left"
