"""Why a run is not running: held by whom, behind which runs, for which task, which resource, which worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from gitorch.database.run_queue import QueuedRun, QueuedTask, Worker
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status, states
from gitorch.model.table.row import Row, TaskRow
from gitorch.model.text.phrases import counted
from gitorch.runs.catalog import Catalog
from gitorch.runs.liveness import living
from gitorch.runs.site import Site
from gitorch.tools.clock import now
from gitorch.worker import capacity


class QueueView(Struct, frozen=True, kw_only=True):
    """The queue at one moment: its runs in the order in which they are begun, who is alive, what is free."""

    clone: str
    at: str
    queued: Mapping[str, QueuedRun]
    workers: Sequence[Worker]
    alive: frozenset[str]
    free: Resources | None  # None where no task counts resources
    position: Mapping[str, int]  # by run: how many runs go before it
    first: str | None  # the run that goes before all others
    computing: Mapping[str, str]  # by key of the cache: the run that computes it


def view_queue(site: Site, catalog: Catalog) -> QueueView:
    queued = catalog.queued
    workers = site.queue.workers() if site.queue_path.exists() else []
    going_on = [
        run
        for run in queued.values()
        if any(task.status in _GOING_ON for task in run.tasks) and not run.held
    ]
    going_on.sort(
        key=lambda run: -max(task.priority for task in run.tasks)
    )  # stable: first in, first out
    return QueueView(
        clone=site.repository.clone_id(),
        at=now(),
        queued=queued,
        workers=workers,
        alive=living(site.state, workers),
        free=_free(site) if queued and site.queue.counts_resources() else None,
        position={run.id: position for position, run in enumerate(going_on)},
        first=going_on[0].id if going_on else None,
        computing={
            task.key: run.id
            for run in queued.values()
            for task in run.tasks
            if task.key and task.status is Status.RUNNING
        },
    )


def explain_not_running(run: Row, known: QueueView) -> str | None:
    """In words; None of a run that runs, or is over."""
    queued = known.queued.get(run.id)
    match run.status:
        case Status.COMPLETE | Status.FAILED:
            return None
        case _ if run.clone != known.clone:
            return "it belongs to another clone"
        case Status.ERROR:
            return _of_error(run)
        case Status.HOLD:
            return run.hold or "held"
        case Status.RUNNING if queued and _is_orphaned(queued, known):
            return "its worker is gone: gitorch run takes it up again"
        case Status.RUNNING if running_task(queued):
            return None
        case _:
            return _of_waiting(run, queued, known)


_GOING_ON = (Status.WAITING, Status.RUNNING)


def _of_error(run: Row) -> str:
    task = next(task for task in run.tasks if task.status is Status.ERROR)
    waiting = [other.id for other in run.tasks if other.status is Status.WAITING]
    reason = f"{task.id}: {task.failure}"
    return (
        f"{reason}; {', '.join(waiting)} wait{'s' if len(waiting) == 1 else ''} for it"
        if waiting
        else reason
    )


def _of_waiting(run: Row, queued: QueuedRun | None, known: QueueView) -> str:
    if not known.alive:
        return "no worker is running: gitorch run"
    tasks = {task.id: task for task in queued.tasks} if queued else {}
    waiting = (
        task
        for task, (status, ready) in zip(run.tasks, states(run.tasks), strict=True)
        if status is Status.WAITING and ready
    )
    task = next(waiting, None)
    entry = tasks.get(task.id) if task else None
    if entry and entry.not_before and entry.not_before > known.at:
        return f"{entry.id} is tried again at {entry.not_before}"
    if entry and entry.key and (other := known.computing.get(entry.key)):
        return f"{entry.id} waits for run {other}, which computes the same"
    if task and (missing := _missing(task, known.free)):
        return missing
    if before := known.position.get(run.id, 0):
        return f"behind {counted(before, 'run')}, the first is {known.first}"
    return "a worker takes it next"


def _missing(task: TaskRow, free: Resources | None) -> str | None:
    """The resource that there is not enough of just now."""
    wanted = task.resources
    if free is None or wanted is None:
        return None
    for name, asked, there in (
        ("cpus", wanted.cpus, free.cpus),
        ("gpus", wanted.gpus, free.gpus),
        ("bytes of memory", wanted.memory_bytes, free.memory_bytes),
    ):
        if asked > there:
            return f"{task.id} waits for {asked:g} {name}, {there:g} are free"
    return None


def _is_orphaned(queued: QueuedRun, known: QueueView) -> bool:
    return any(
        task.status is Status.RUNNING and task.worker not in known.alive for task in queued.tasks
    )


def _free(site: Site) -> Resources:
    with capacity.opened(site.repository, capacity.of_machine(site.repository)) as ledger:
        return ledger.free


def running_task(queued: QueuedRun | None) -> QueuedTask | None:
    return (
        next((task for task in queued.tasks if task.status is Status.RUNNING), None)
        if queued
        else None
    )
