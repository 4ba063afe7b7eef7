"""The reason why a run is not running: a hold, another run, a resource, or no worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct

from gitorch.database.values import QueuedRun, QueuedTask, Running, Waiting, Worker
from gitorch.errors import Busy
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status, states
from gitorch.model.table.row import Row, TaskRow
from gitorch.model.text.phrases import counted
from gitorch.storage.catalog import Catalog
from gitorch.storage.liveness import living
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from gitorch.worker import capacity

_UNFINISHED = (Status.WAITING, Status.RUNNING)


class QueueView(Struct, frozen=True, kw_only=True):
    """The queue at one moment, with the living workers and the free resources."""

    clone: str
    now: str
    queued: Mapping[str, QueuedRun]  # by run id
    workers: Sequence[Worker]
    alive: frozenset[str]  # ids of workers
    free: Resources | None  # None if no task counts resources
    runs_ahead: Mapping[
        str, int
    ]  # by run id: the number of runs that start before it
    first: str | None  # the id of the run that starts before all others
    computing: Mapping[
        str, str
    ]  # by cache key: the id of the run that is computing it
    # See `ledger.has_queued`; it reads a record.
    has_queued: Callable[[str], bool] = lambda _: True


def view_queue(site: Site, catalog: Catalog) -> QueueView:
    """Return the queue as it is now."""
    queued = catalog.shown
    workers = site.queue.workers() if site.queue_path.exists() else []
    pending = _in_starting_order(queued.values())
    runs_ahead = {run.id: position for position, run in enumerate(pending)}
    free = None
    if queued and site.queue.counts_resources():
        # Another process can hold the ledger.
        with suppress(Busy):
            free = _free_resources(site)
    return QueueView(
        clone=site.repository.clone_id(),
        now=now(),
        queued=queued,
        workers=workers,
        alive=living(site.state, workers),
        free=free,
        runs_ahead=runs_ahead,
        first=pending[0].id if pending else None,
        computing=_keys_being_computed(catalog.queued.values()),
        has_queued=partial(_has_queued, site),
    )


def _has_queued(site: Site, run_id: str) -> bool:
    """Return False if the run's record says that this clone queued it, but the ledger does not."""
    # Imported here, because it is needed for few runs.
    from gitorch.storage import ledger  # noqa: PLC0415

    record = read_sound_records(site, [run_id]).get(run_id)
    return record is None or ledger.has_queued(site, record)


def running_task(queued: QueuedRun | None) -> QueuedTask | None:
    """Return the task of a queued run that is running, if there is one."""
    if queued is None:
        return None
    for task in queued.tasks:
        if task.status is Status.RUNNING:
            return task
    return None


def explain_not_running(row: Row, view: QueueView) -> str | None:
    """Return the reason why a run is not running, or None if it is running or over."""
    queued = view.queued.get(row.id)
    match row.status:
        case Status.COMPLETE | Status.FAILED:
            return None
        case _ if _is_foreign(row, view):
            return _explain_foreign(row, view)
        case Status.ERROR:
            return _explain_error(row)
        case Status.HOLD:
            return row.hold or "held"
        case Status.RUNNING if queued and _is_orphaned(queued, view):
            return "its worker is gone: gitorch run resumes it"
        case Status.RUNNING if running_task(queued):
            return None
        case _:
            return _explain_waiting(row, queued, view)


def _is_foreign(row: Row, view: QueueView) -> bool:
    """Return True if this clone did not queue the run."""
    if row.clone != view.clone:
        return True
    return row.id not in view.queued and not view.has_queued(row.id)


def _explain_foreign(row: Row, view: QueueView) -> str:
    if row.clone != view.clone:
        return "it belongs to another clone"
    return f"not queued by this clone: gitorch adopt {row.id}"


def _explain_error(row: Row) -> str:
    failed = next(task for task in row.tasks if task.status is Status.ERROR)
    waiting = [task.id for task in row.tasks if task.status is Status.WAITING]
    reason = f"{failed.id}: {failed.failure}"
    if not waiting:
        return reason
    verb = "waits" if len(waiting) == 1 else "wait"
    return f"{reason}; {', '.join(waiting)} {verb} for it"


def _explain_waiting(row: Row, queued: QueuedRun | None, view: QueueView) -> str:
    if not view.alive:
        return "no worker is running: gitorch run"
    task = _next_task(row)
    if task is not None:
        reason = _explain_queued_task(task, queued, view) or _missing_resource(
            task, view.free
        )
        if reason is not None:
            return reason
    ahead = view.runs_ahead.get(row.id, 0)
    if ahead:
        return f"behind {counted(ahead, 'run')}, the first is {view.first}"
    return "a worker takes it next"


def _next_task(row: Row) -> TaskRow | None:
    """Return the first waiting task whose needs are complete."""
    for task, (status, is_ready) in zip(
        row.tasks, states(row.tasks, row.needs), strict=True
    ):
        if status is Status.WAITING and is_ready:
            return task
    return None


def _explain_queued_task(
    task: TaskRow, queued: QueuedRun | None, view: QueueView
) -> str | None:
    """Return the reason in the task's own queue entry: a later retry, or a shared computation."""
    entries = queued.tasks if queued else ()
    for entry in entries:
        if entry.id != task.id:
            continue
        match entry.state:
            case Waiting(not_before=str(moment)) if moment > view.now:
                return f"{task.id} will be tried again at {moment}"
            case Waiting(is_claimed=True):
                return f"a worker prepares {task.id}"
            case Waiting(key=str(key)) if key in view.computing:
                return f"{task.id} waits for run {view.computing[key]}, which computes the same"
    return None


def _missing_resource(task: TaskRow, free: Resources | None) -> str | None:
    """Return a reason if a resource that the task needs is not free at the moment."""
    wanted = task.resources
    if free is None or wanted is None:
        return None
    for name, wanted_amount, free_amount in (
        ("cpus", wanted.cpus, free.cpus),
        ("gpus", wanted.gpus, free.gpus),
        ("bytes of memory", wanted.memory_bytes, free.memory_bytes),
    ):
        if wanted_amount > free_amount:
            return f"{task.id} waits for {wanted_amount:g} {name}, {free_amount:g} are free"
    return None


def _in_starting_order(queued: Iterable[QueuedRun]) -> list[QueuedRun]:
    """Return the unfinished runs that are not held.

    They are sorted by priority. Of the same priority, runs that have begun are first, then the
    older ones.
    """
    pending = []
    for run in queued:
        is_unfinished = any(task.status in _UNFINISHED for task in run.tasks)
        if is_unfinished and not run.held:
            pending.append(run)
    # Stable: first in, first out.
    pending.sort(key=_rank, reverse=True)
    return pending


def _rank(run: QueuedRun) -> tuple[int, bool]:
    has_begun = any(task.begun for task in run.tasks)
    return max(task.priority for task in run.tasks), has_begun


def _keys_being_computed(queued: Iterable[QueuedRun]) -> dict[str, str]:
    computing = {}
    for run in queued:
        for task in run.tasks:
            match task.state:
                case Running(key=str(key)):
                    computing[key] = run.id
    return computing


def _is_orphaned(queued: QueuedRun, view: QueueView) -> bool:
    """Return True if a task is marked as running by a worker that is dead."""
    for task in queued.tasks:
        match task.state:
            case Running(worker=worker) if worker not in view.alive:
                return True
    return False


def _free_resources(site: Site) -> Resources:
    with capacity.opened(
        site.repository, capacity.of_machine(site.repository)
    ) as ledger:
        return ledger.free
