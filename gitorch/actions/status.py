"""`gitorch status`: the central place. What runs, how far it is and how long it will take, what waits and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.actions.waiting import QueueView, explain_not_running, running_task, view_queue
from gitorch.database.run_queue import QueuedTask, Worker
from gitorch.model.run.estimate import Estimate, from_durations, from_progress, together
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.events import read_progress
from gitorch.runs.site import Site
from gitorch.tools.clock import parse


class LiveRun(Struct, frozen=True, kw_only=True):
    """A run that is not over. `task` is the one running, else the one to come, else the one in ERROR."""

    id: str
    name: str
    label: str
    status: Status
    task: str | None
    progress: tuple[float, float] | None
    elapsed_s: float | None
    eta: Estimate | None
    why: str | None


class LiveWorker(Struct, frozen=True, kw_only=True):
    worker: Worker
    tasks: int


class SiteStatus(Struct, frozen=True, kw_only=True):
    counts: dict[Status, int]
    runs: tuple[LiveRun, ...]
    workers: tuple[LiveWorker, ...]
    eta: Estimate | None

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/status/v1",
            "counts": {str(status): count for status, count in self.counts.items()},
            "runs": [
                {
                    "id": run.id,
                    "name": run.name,
                    "label": run.label,
                    "status": str(run.status),
                    "task": run.task,
                    "progress": run.progress
                    and {"done": run.progress[0], "total": run.progress[1]},
                    "elapsed_s": run.elapsed_s,
                    "eta_s": run.eta and run.eta.to_json(),
                    "why": run.why,
                }
                for run in self.runs
            ],
            "workers": [
                {
                    "host": live.worker.host,
                    "pid": live.worker.pid,
                    "since": live.worker.since,
                    "tasks": live.tasks,
                }
                for live in self.workers
            ],
            "eta_s": self.eta and self.eta.to_json(),
        }


def status(site: Site, *, moment: datetime | None = None) -> SiteStatus:
    """How things stand now."""
    moment = moment or datetime.now(UTC)
    catalog = Catalog.of(site)
    live, counts = catalog.standing()
    known = view_queue(site, catalog)
    past = Past(catalog)
    last = len(known.queued)
    live.sort(key=lambda row: (known.position.get(row.id, last), row.created))
    runs = tuple(_live_run(site, row, known, past, moment) for row in live)
    running = [
        task for run in known.queued.values() for task in run.tasks if task.status is Status.RUNNING
    ]
    going_on = [run for run in runs if run.status in (Status.WAITING, Status.RUNNING)]
    estimates = [run.eta for run in going_on if run.eta]
    return SiteStatus(
        counts={status: counts.get(status, 0) for status in Status},
        runs=runs,
        workers=tuple(
            LiveWorker(worker=worker, tasks=sum(task.worker == worker.id for task in running))
            for worker in known.workers
            if worker.id in known.alive
        ),
        eta=together(estimates, max(1, len(running))) if len(estimates) == len(going_on) else None,
    )


class Past:
    """How long the tasks of each kind took that succeeded, read when it is asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._durations: dict[tuple[str, str], list[float]] = {}
        self._estimates: dict[tuple[str, str], Estimate | None] = {}

    def estimate(self, name: str, task: str, elapsed_s: float | None) -> Estimate | None:
        """The time that is left of a task of this kind; None: it has not begun."""
        kind = (name, task)
        if kind not in self._durations:
            self._durations[kind] = self._catalog.durations(name, task)
            self._estimates[kind] = from_durations(self._durations[kind])
        return (
            self._estimates[kind]
            if elapsed_s is None
            else from_durations(self._durations[kind], elapsed_s)
        )


def _live_run(site: Site, row: Row, known: QueueView, past: Past, moment: datetime) -> LiveRun:
    running = running_task(known.queued.get(row.id))
    progress = read_progress(_events_of(site, running)) if running else None
    elapsed = (
        (moment - parse(running.started)).total_seconds() if running and running.started else None
    )
    return LiveRun(
        id=row.id,
        name=row.name,
        label=row.label,
        status=row.status,
        task=running.id if running else _next_task(row),
        progress=progress,
        elapsed_s=None if elapsed is None else round(max(elapsed, 0.0), 3),
        eta=_eta(row, running, progress, elapsed or 0.0, past),
        why=explain_not_running(row, known),
    )


def _next_task(row: Row) -> str | None:
    order = {Status.ERROR: 0, Status.WAITING: 1, Status.HOLD: 2}
    pending = [task for task in row.tasks if task.status in order]
    return min(pending, key=lambda task: order[task.status]).id if pending else None


def _eta(
    row: Row,
    running: QueuedTask | None,
    progress: tuple[float, float] | None,
    elapsed_s: float,
    past: Past,
) -> Estimate | None:
    """The time until the run is over: of the running task by its progress, of all others by earlier ones."""
    parts: list[Estimate] = []
    for task in row.tasks:
        if task.status is Status.COMPLETE:
            continue
        if task.status not in (Status.WAITING, Status.RUNNING):
            return None
        runs = running is not None and task.id == running.id
        told = from_progress(*progress, elapsed_s) if runs and progress else None
        estimate = told or past.estimate(row.name, task.id, elapsed_s if runs else None)
        if estimate is None:
            return None
        parts.append(estimate)
    return (
        Estimate(sum(part.p50 for part in parts), sum(part.p80 for part in parts))
        if parts
        else None
    )


def _events_of(site: Site, task: QueuedTask) -> Path:
    return site.directory(task.run).attempt(task.id, task.attempts).events


def progress_of(events: Path) -> tuple[float, float] | None:
    """How far a running attempt says it is: (done, total)."""
    return read_progress(events)
