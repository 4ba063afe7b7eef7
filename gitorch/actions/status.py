"""`gitorch status`: the central place. What runs, how far it is and how long it will take, what waits and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitorch.actions.lookup import all_records
from gitorch.actions.waiting import Circumstances, circumstances, running_task, why
from gitorch.model.estimate import Estimate, from_durations, from_progress, together
from gitorch.model.record import Record
from gitorch.model.status import LIVE, Status
from gitorch.queue.queue import QueuedTask, Worker
from gitorch.tools.clock import parse
from gitorch.worker.events import read_progress
from gitorch.worker.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWorker:
    worker: Worker
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStatus:
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
                    "progress": run.progress and {"done": run.progress[0], "total": run.progress[1]},
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
    records = all_records(site)
    known = circumstances(site)
    past = _durations(records)
    last = len(known.queued)
    live = sorted(
        (record for record in records if record.status in LIVE),
        key=lambda record: (known.position.get(record.id, last), record.created),
    )
    runs = tuple(_live_run(site, record, known, past, moment) for record in live)
    counts = Counter(record.status for record in records)
    running = [task for run in known.queued.values() for task in run.tasks if task.status is Status.RUNNING]
    going_on = [run for run in runs if run.status in (Status.WAITING, Status.RUNNING)]
    estimates = [run.eta for run in going_on if run.eta]
    return SiteStatus(
        counts={status: counts[status] for status in Status},
        runs=runs,
        workers=tuple(
            LiveWorker(worker=worker, tasks=sum(task.worker == worker.id for task in running))
            for worker in known.workers
            if worker.id in known.alive
        ),
        eta=together(estimates, max(1, len(running))) if len(estimates) == len(going_on) else None,
    )


def _live_run(
    site: Site, record: Record, known: Circumstances, past: dict[str, list[float]], moment: datetime
) -> LiveRun:
    running = running_task(known.queued.get(record.id))
    progress = read_progress(_events_of(site, running)) if running else None
    elapsed = (moment - parse(running.started)).total_seconds() if running and running.started else None
    return LiveRun(
        id=record.id,
        name=record.name,
        label=record.label,
        status=record.status,
        task=running.id if running else _next_task(record),
        progress=progress,
        elapsed_s=None if elapsed is None else round(max(elapsed, 0.0), 3),
        eta=_eta(record, running, progress, elapsed or 0.0, past),
        why=why(record, known),
    )


def _next_task(record: Record) -> str | None:
    order = {Status.ERROR: 0, Status.WAITING: 1, Status.HOLD: 2}
    pending = [task for task in record.tasks if task.status in order]
    return min(pending, key=lambda task: order[task.status]).id if pending else None


def _eta(
    record: Record,
    running: QueuedTask | None,
    progress: tuple[float, float] | None,
    elapsed_s: float,
    past: dict[str, list[float]],
) -> Estimate | None:
    """The time until the run is over: of the running task by its progress, of all others by earlier ones."""
    parts: list[Estimate] = []
    for task in record.tasks:
        if task.status is Status.COMPLETE:
            continue
        if task.status not in (Status.WAITING, Status.RUNNING):
            return None
        known = past.get(_kind(record, task.id), [])
        if running and task.id == running.id:
            estimate = (from_progress(*progress, elapsed_s) if progress else None) or from_durations(known, elapsed_s)
        else:
            estimate = from_durations(known)
        if estimate is None:
            return None
        parts.append(estimate)
    return Estimate(sum(part.p50 for part in parts), sum(part.p80 for part in parts)) if parts else None


def _durations(records: Sequence[Record]) -> dict[str, list[float]]:
    """How long the tasks of each kind took that succeeded."""
    found: dict[str, list[float]] = {}
    for record in records:
        for task in record.tasks:
            if task.status is Status.COMPLETE and task.attempts:
                found.setdefault(_kind(record, task.id), []).append(task.attempts[-1].duration_s)
    return found


def _kind(record: Record, task: str) -> str:
    return f"{record.name}/{task}"


def _events_of(site: Site, task: QueuedTask) -> Path:
    return site.directory(task.run).attempt(task.id, task.attempts).events


def progress_of(events: Path) -> tuple[float, float] | None:
    """How far a running attempt says it is: (done, total)."""
    return read_progress(events)
