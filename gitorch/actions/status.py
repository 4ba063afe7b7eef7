"""`gitorch status`: the running runs with their progress, and the waiting runs with the reason."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.actions.time_left import Forecast, RunningTask, forecast
from gitorch.actions.waiting import (
    QueueView,
    explain_not_running,
    running_task,
    view_queue,
)
from gitorch.database.values import QueuedRun, QueuedTask, Running, Worker
from gitorch.engines.order_files import ExecutionPlace, place_of
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.run.progress import LastMetric, Progress
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.liveness import WorkerFiles, noted_jobs
from gitorch.storage.site import Site
from gitorch.storage.stop_requests import Stops, requested_stops
from gitorch.storage.worker_logs import worker_logs
from gitorch.tools.clock import stamp

# The order in which `status` chooses the task that it names, if no task of a run is running.
_ATTENTION = {Status.ERROR: 0, Status.WAITING: 1, Status.HOLD: 2}


class LiveRun(Struct, frozen=True, kw_only=True):
    """A run that is not over.

    `task` is the running task. If no task is running, it is the task in ERROR, the next task or the
    held task. `share` is the part of the running task that is done, from 0 to 1, by its progress or
    by earlier durations.
    """

    id: str
    name: str
    label: str
    status: Status
    task: str | None
    progress: Progress | None
    share: float | None
    metric: LastMetric | None
    elapsed_s: float | None
    eta: Estimate | None
    why: str | None  # the reason why the run is not running, or where it is
    place: ExecutionPlace | None  # of the running task, if it is not this machine

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "label": self.label,
            "status": str(self.status),
            "task": self.task,
            "progress": self.progress and self.progress.to_json(),
            "share": None if self.share is None else round(self.share, 4),
            "metric": self.metric and self.metric.to_json(),
            "elapsed_s": self.elapsed_s,
            "eta_s": self.eta and self.eta.to_json(),
            "why": self.why,
            "where": self.place and self.place.to_json(),
        }


class LiveWorker(Struct, frozen=True, kw_only=True):
    """A living worker and what it is running: run id and task of each attempt.

    A worker in the background has a log. A worker that `is_stopping` takes no more tasks.
    """

    worker: Worker
    tasks: tuple[tuple[str, str], ...]
    log: Path | None
    is_stopping: bool = False

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
            "stopping": self.is_stopping,
            "log": self.log and str(self.log),
        }


class Totals(Struct, frozen=True, kw_only=True):
    """The runs that are at work: the unfinished ones, and those that ended while a worker lives.

    `ends` is the time at which they are probably over, None if it is unknown.
    """

    done: int
    failed: int
    running: int
    waiting: int
    ends: str | None = None

    @property
    def all(self) -> int:
        return self.done + self.failed + self.running + self.waiting

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": self.all,
            "done": self.done,
            "failed": self.failed,
            "running": self.running,
            "waiting": self.waiting,
            "ends": self.ends,
        }


class SiteStatus(Struct, frozen=True, kw_only=True):
    """The state of all runs and workers; `eta` is the time until nothing is left to run."""

    counts: dict[Status, int]  # of all statuses
    runs: tuple[LiveRun, ...]
    workers: tuple[LiveWorker, ...]
    eta: Estimate | None
    totals: Totals

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
            "totals": self.totals.to_json(),
        }


def status(
    site: Site, *, moment: datetime | None = None, since: str | None = None
) -> SiteStatus:
    """Return the state of all runs and workers at `moment`, by default now.

    The totals count the runs that ended since the oldest living worker began, or since `since`.
    """
    moment = moment or datetime.now(UTC)
    catalog = Catalog.of(site)
    live, counts = catalog.standing()
    view = view_queue(site, catalog)
    not_queued = len(view.queued)  # sorted behind all queued runs
    live.sort(key=lambda row: (view.runs_ahead.get(row.id, not_queued), row.order))
    tasks = _tasks_by_worker(site, view)
    slots = _slots(site, view, tasks)
    expected = forecast(site, catalog, live, view, slots=slots, moment=moment)
    shown = []
    for row in live:
        queued = catalog.queued.get(row.id)
        shown.append(_live_run(site, row, view, queued, expected))
    return SiteStatus(
        counts={**dict.fromkeys(Status, 0), **counts},
        runs=tuple(shown),
        workers=_live_workers(site, view, tasks),
        eta=expected.total,
        totals=_totals(catalog, live, view, expected, since, moment),
    )


def _live_run(
    site: Site,
    row: Row,
    view: QueueView,
    queued: QueuedRun | None,
    expected: Forecast,
) -> LiveRun:
    running = _first(expected.running.get(row.id, ()))
    eta = expected.runs.get(row.id)
    if row.status is Status.WAITING and not view.alive:
        eta = None
    common: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "label": row.label,
        "status": row.status,
        "eta": eta,
        "why": explain_not_running(row, view),
        "place": None,
    }
    # A task that waits in its engine is shown as WAITING.
    submitted = running_task(queued)
    if submitted is not None and isinstance(submitted.state, Running):
        place = _place(site, submitted, submitted.state.token)
        is_left = submitted.state.worker not in view.alive
        if place is not None:
            collected = "; gitorch run collects the results" if is_left else ""
            common |= {"place": place, "why": f"{place}{collected}"}
    if running is None:
        return LiveRun(
            **common,
            task=_task_to_name(row),
            progress=None,
            share=None,
            metric=None,
            elapsed_s=None,
        )
    return LiveRun(
        **common,
        task=running.id,
        progress=running.progress,
        share=running.share,
        metric=running.metric,
        elapsed_s=round(running.elapsed_s, 3),
    )


def _place(site: Site, task: QueuedTask, token: str) -> ExecutionPlace | None:
    """Return where a claimed task is executed, None if on a worker's machine."""
    directory = site.directory(task.run).attempt(task.id, task.attempts)
    return place_of(directory.path, token)


def _first(running: Sequence[RunningTask]) -> RunningTask | None:
    return running[0] if running else None


def _task_to_name(row: Row) -> str | None:
    unfinished = [task for task in row.tasks if task.status in _ATTENTION]
    if not unfinished:
        return None
    return min(unfinished, key=lambda task: _ATTENTION[task.status]).id


def _totals(
    catalog: Catalog,
    live: Sequence[Row],
    view: QueueView,
    expected: Forecast,
    since: str | None,
    moment: datetime,
) -> Totals:
    if since is None:
        since = _oldest_start(view)
    ended: dict[Status, int] = {}
    failed = 0
    if since is not None:
        ended = catalog.counts_since(since)
        failed = ended.get(Status.FAILED, 0) + _failed_since(live, since)
    statuses = Counter(row.status for row in live)
    waiting = statuses[Status.WAITING]
    for row in live:
        if row.status is Status.WAITING and row.id not in view.runs_ahead:
            waiting -= 1  # it is another clone's
    ends = None
    if expected.total is not None and view.alive:
        ends = stamp(moment + timedelta(seconds=expected.total.p50))
    return Totals(
        done=ended.get(Status.COMPLETE, 0),
        failed=failed,
        running=statuses[Status.RUNNING],
        waiting=waiting,
        ends=ends,
    )


def _oldest_start(view: QueueView) -> str | None:
    """Return since when the oldest living worker lives."""
    begun = [worker.since for worker in view.workers if worker.id in view.alive]
    return min(begun, default=None)


def _failed_since(live: Sequence[Row], since: str) -> int:
    """Return the number of runs in ERROR whose last attempt ended at `since` or later."""
    failed = 0
    for row in live:
        if row.status is Status.ERROR:
            ends = [task.ended for task in row.tasks if task.ended is not None]
            failed += max(ends, default="") >= since
    return failed


def _slots(
    site: Site, view: QueueView, tasks: Mapping[str, Sequence[tuple[str, str]]]
) -> int:
    """Return the number of tasks that all workers run at a time, or that one would."""
    slots = 0
    for worker in view.workers:
        if worker.id in view.alive:
            running = len(tasks.get(worker.id, ()))
            slots += max(noted_jobs(site.state, worker), running, 1)
    if slots:
        return slots
    setting = site.repository.settings.jobs
    if setting == "auto":
        return os.cpu_count() or 1
    if not (setting.isascii() and setting.isdecimal()):
        return 1
    return max(1, int(setting[:4]))  # `run` takes up to 1,000


def _live_workers(
    site: Site, view: QueueView, tasks: Mapping[str, Sequence[tuple[str, str]]]
) -> tuple[LiveWorker, ...]:
    logs = {log.worker_id: log.path for log in worker_logs(site)}
    workers = []
    for worker in view.workers:
        if worker.id in view.alive:
            running = tuple(tasks.get(worker.id, ()))
            log = logs.get(worker.id)
            stop = WorkerFiles.of(site.state, worker.id).stop
            workers.append(
                LiveWorker(
                    worker=worker,
                    tasks=running,
                    log=log,
                    is_stopping=requested_stops(stop) > Stops.NONE,
                )
            )
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
