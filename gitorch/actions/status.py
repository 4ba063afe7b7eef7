"""`gitorch status`: the running runs with their progress, and the waiting runs with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.waiting import (
    QueueView,
    explain_not_running,
    running_task,
    view_queue,
)
from gitorch.database.values import QueuedTask, Running, Worker
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.run.estimate import (
    from_durations,
    from_progress,
    in_turn,
    together,
)
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.events import read_progress
from gitorch.storage.site import Site
from gitorch.storage.worker_logs import worker_logs
from gitorch.tools.clock import parse

_UNFINISHED = (Status.WAITING, Status.RUNNING)
# The order in which `status` chooses the task that it names, if no task of a run is running.
_ATTENTION = {Status.ERROR: 0, Status.WAITING: 1, Status.HOLD: 2}


class LiveRun(Struct, frozen=True, kw_only=True):
    """A run that is not over.

    `task` is the running task. If no task is running, it is the task in ERROR, the next task or the
    held task.
    """

    id: str
    name: str
    label: str
    status: Status
    task: str | None
    progress: tuple[float, float] | None  # done, total
    elapsed_s: float | None
    eta: Estimate | None
    why: str | None  # the reason why the run is not running

    def to_json(self) -> dict[str, Any]:
        progress = None
        if self.progress is not None:
            done, total = self.progress
            progress = {"done": done, "total": total}
        return {
            "id": self.id,
            "name": self.name,
            "label": self.label,
            "status": str(self.status),
            "task": self.task,
            "progress": progress,
            "elapsed_s": self.elapsed_s,
            "eta_s": self.eta and self.eta.to_json(),
            "why": self.why,
        }


class LiveWorker(Struct, frozen=True, kw_only=True):
    """A living worker and what it is running: run id and task of each attempt.

    A worker in the background has a log.
    """

    worker: Worker
    tasks: tuple[tuple[str, str], ...]
    log: Path | None

    def to_json(self) -> dict[str, Any]:
        return {
            "host": self.worker.host,
            "pid": self.worker.pid,
            "since": self.worker.since,
            "tasks": len(self.tasks),
            "running": [
                {"id": run_id, "task": task} for run_id, task in self.tasks
            ],
            "detached": self.log is not None,
            "log": self.log and str(self.log),
        }


class SiteStatus(Struct, frozen=True, kw_only=True):
    """The state of all runs and workers; `eta` is the time until nothing is left to run."""

    counts: dict[Status, int]
    runs: tuple[LiveRun, ...]
    workers: tuple[LiveWorker, ...]
    eta: Estimate | None

    def to_json(self) -> dict[str, Any]:
        counts = {str(status): count for status, count in self.counts.items()}
        runs = [run.to_json() for run in self.runs]
        workers = [worker.to_json() for worker in self.workers]
        return {
            "schema": "gitorch/status/v1",
            "counts": counts,
            "runs": runs,
            "workers": workers,
            "eta_s": self.eta and self.eta.to_json(),
        }


def status(site: Site, *, moment: datetime | None = None) -> SiteStatus:
    """Return the state of all runs and workers at `moment`, by default now."""
    moment = moment or datetime.now(UTC)
    catalog = Catalog.of(site)
    live, counts = catalog.standing()
    view = view_queue(site, catalog)
    history = DurationHistory(catalog)
    not_queued = len(view.queued)  # sorted behind all queued runs
    live.sort(key=lambda row: (view.runs_ahead.get(row.id, not_queued), row.order))
    runs = tuple(_live_run(site, row, view, history, moment) for row in live)
    tasks = _tasks_by_worker(site, view)
    at_once = max(1, sum(map(len, tasks.values())))
    return SiteStatus(
        counts={status: counts.get(status, 0) for status in Status},
        runs=_in_turn(runs, at_once, has_worker=bool(view.alive)),
        workers=_live_workers(site, view, tasks),
        eta=_total_eta(runs, at_once),
    )


def progress_of(events: Path) -> tuple[float, float] | None:
    """Return the progress that a running attempt reported last: (done, total)."""
    return read_progress(events)


class DurationHistory:
    """The durations of successful tasks, read from the catalog once for each kind of task."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._durations: dict[tuple[str, str], list[float]] = {}
        self._estimates: dict[tuple[str, str], Estimate | None] = {}

    def estimate(
        self, name: str, task_id: str, elapsed_s: float | None
    ) -> Estimate | None:
        """Return the remaining time of a task, or None if no such task has succeeded yet.

        `elapsed_s` is None for a task that has not started.
        """
        kind = (name, task_id)
        if kind not in self._durations:
            self._durations[kind] = self._catalog.durations(name, task_id)
            self._estimates[kind] = from_durations(self._durations[kind])
        if elapsed_s is None:
            return self._estimates[kind]
        return from_durations(self._durations[kind], elapsed_s)


def _live_run(
    site: Site,
    row: Row,
    view: QueueView,
    history: DurationHistory,
    moment: datetime,
) -> LiveRun:
    task_id = _task_to_name(row)
    progress = None
    elapsed_s = None
    running = running_task(view.queued.get(row.id))
    if running is not None and isinstance(running.state, Running):
        task_id = running.id
        progress = read_progress(_events_of(site, running))
        # Negative if the clock was set back.
        elapsed_s = max(
            0.0, (moment - parse(running.state.started)).total_seconds()
        )
    return LiveRun(
        id=row.id,
        name=row.name,
        label=row.label,
        status=row.status,
        task=task_id,
        progress=progress,
        elapsed_s=None if elapsed_s is None else round(elapsed_s, 3),
        eta=_eta(row, running, progress, elapsed_s or 0.0, history),
        why=explain_not_running(row, view),
    )


def _task_to_name(row: Row) -> str | None:
    unfinished = [task for task in row.tasks if task.status in _ATTENTION]
    if not unfinished:
        return None
    return min(unfinished, key=lambda task: _ATTENTION[task.status]).id


def _eta(
    row: Row,
    running: QueuedTask | None,
    progress: tuple[float, float] | None,
    elapsed_s: float,
    history: DurationHistory,
) -> Estimate | None:
    """Return the time until the run is over, or None if it cannot be estimated.

    The estimate of the running task is based on its progress, that of the others on earlier runs.
    """
    parts: list[Estimate] = []
    for task in row.tasks:
        if task.status is Status.COMPLETE:
            continue
        if task.status not in _UNFINISHED:
            return None
        if running is not None and task.id == running.id:
            estimate = from_progress(*progress, elapsed_s) if progress else None
            estimate = estimate or history.estimate(row.name, task.id, elapsed_s)
        else:
            estimate = history.estimate(row.name, task.id, None)
        if estimate is None:
            return None
        parts.append(estimate)
    return _in_sequence(parts)


def _in_sequence(parts: Sequence[Estimate]) -> Estimate | None:
    if not parts:
        return None
    p50 = sum(part.p50 for part in parts)
    p80 = sum(part.p80 for part in parts)
    return Estimate(p50, p80)


def _in_turn(
    runs: Sequence[LiveRun], at_once: int, *, has_worker: bool
) -> tuple[LiveRun, ...]:
    """Return the runs with the time until each waiting one is over, unknown without a worker."""
    running = [run.eta for run in runs if run.status is Status.RUNNING]
    waiting = [run for run in runs if run.status is Status.WAITING]
    over: list[Estimate | None] = [None] * len(waiting)
    if has_worker:
        over = in_turn(running, [run.eta for run in waiting], at_once)
    etas = {run.id: eta for run, eta in zip(waiting, over, strict=True)}
    return tuple(replace(run, eta=etas.get(run.id, run.eta)) for run in runs)


def _total_eta(runs: Sequence[LiveRun], at_once: int) -> Estimate | None:
    """Return the time until all runs are over, or None if one of them has no estimate."""
    estimates = []
    for run in runs:
        if run.status not in _UNFINISHED:
            continue
        if run.eta is None:
            return None
        estimates.append(run.eta)
    return together(estimates, at_once)


def _live_workers(
    site: Site, view: QueueView, tasks: Mapping[str, Sequence[tuple[str, str]]]
) -> tuple[LiveWorker, ...]:
    logs = {log.worker_id: log.path for log in worker_logs(site)}
    workers = []
    for worker in view.workers:
        if worker.id in view.alive:
            running = tuple(tasks.get(worker.id, ()))
            log = logs.get(worker.id)
            workers.append(LiveWorker(worker=worker, tasks=running, log=log))
    return tuple(workers)


def _tasks_by_worker(
    site: Site, view: QueueView
) -> dict[str, list[tuple[str, str]]]:
    """Return the running tasks of each worker.

    A task whose attempt has ended does not count, although it is RUNNING until it is committed.
    """
    tasks: dict[str, list[tuple[str, str]]] = {}
    for run in view.queued.values():
        for task in run.tasks:
            if isinstance(task.state, Running):
                attempt = site.directory(task.run).attempt(task.id, task.attempts)
                if attempt.log.exists() and not attempt.status.exists():
                    tasks.setdefault(task.state.worker, []).append(
                        (task.run, task.id)
                    )
    return tasks


def _events_of(site: Site, task: QueuedTask) -> Path:
    return site.directory(task.run).attempt(task.id, task.attempts).events
