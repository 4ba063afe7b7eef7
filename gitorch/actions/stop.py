"""`gitorch stop`: let the workers of this clone end, and wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from gitorch.database.values import Worker
from gitorch.errors import NotFound
from gitorch.model.run.status import Status
from gitorch.storage.catalog import Catalog
from gitorch.storage.liveness import WorkerFiles, is_alive, living
from gitorch.storage.site import Site
from gitorch.storage.stop_requests import Stops, request_stop_of
from gitorch.storage.worker_logs import WorkerLog
from gitorch.tools import process
from gitorch.tools.locks import is_held

_SHORTEST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.2
_HEARTBEAT_S = 30.0


class StoppedWorker(Struct, frozen=True, kw_only=True):
    """A worker that was asked to stop.

    `died` is True if it was killed meanwhile, so that the next worker has to recover its tasks.
    """

    worker: Worker
    has_ended: bool
    died: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "host": self.worker.host,
            "pid": self.worker.pid,
            "since": self.worker.since,
            "ended": self.has_ended,
        }


class Stopping(Struct, frozen=True, kw_only=True):
    """A worker that has not ended yet, and the number of tasks that it still executes."""

    worker: Worker
    tasks: int


class Stopped(Struct, frozen=True, kw_only=True):
    """The workers that were asked to stop, and the number of runs that are queued."""

    workers: tuple[StoppedWorker, ...]
    queued: int

    def to_json(self) -> dict[str, Any]:
        workers = [stopped.to_json() for stopped in self.workers]
        return {"schema": "gitorch/stop/v1", "workers": workers}


def stop(
    site: Site,
    names: Sequence[str],
    listener: Callable[[Stopping | StoppedWorker], object],
    *,
    stops: Stops,
    waits: bool,
) -> Stopped:
    """Ask workers to stop: those with the pids `names`, or all of this clone.

    With `waits`, return when they have ended. Then `listener` hears of those that take a while, at
    the start and every 30 seconds, and of those that have ended.
    Raises NotFound if one of the pids is not that of a worker.
    """
    chosen = _chosen(site, names)
    for worker in chosen:
        request_stop_of(WorkerFiles.of(site.state, worker.id).stop, stops)
        _wake(worker)
    ended = dict.fromkeys((worker.id for worker in chosen), False)
    if waits:
        _wait(site, chosen, ended, listener)
    else:
        _forget_requests_to_the_dead(site, chosen)
    stopped = [_stopped(site, worker, ended[worker.id]) for worker in chosen]
    return Stopped(workers=tuple(stopped), queued=_queued(site))


def _chosen(site: Site, names: Sequence[str]) -> list[Worker]:
    """Return the living workers that the names select: a pid, or `host:pid`."""
    workers = site.queue.workers() if site.queue_path.exists() else []
    alive = living(site.state, workers)
    candidates = [worker for worker in workers if worker.id in alive]
    if not names:
        return candidates
    chosen = []
    for name in dict.fromkeys(names):
        found = [
            worker
            for worker in candidates
            if name in (str(worker.pid), f"{worker.host}:{worker.pid}")
        ]
        if not found:
            raise NotFound(
                f"no worker of this clone has the pid {name}",
                hint="gitorch status shows the workers",
            )
        chosen += found
    return chosen


def _wake(worker: Worker) -> None:
    """Let a worker continue that Ctrl-Z has suspended: it could not stop otherwise."""
    if worker.boot != process.boot_id():
        return
    found = process.process_of(worker.pid)
    if found is not None and str(found.start) == worker.process_start:
        process.resume(found)


def _wait(
    site: Site,
    workers: Sequence[Worker],
    ended: dict[str, bool],
    listener: Callable[[Stopping | StoppedWorker], object],
) -> None:
    """Wait until the workers and their tasks' processes have ended."""
    pending = list(workers)
    pause_s = _SHORTEST_PAUSE_S
    next_word = time.monotonic() + _LONGEST_PAUSE_S
    while pending:
        for worker in list(pending):
            if not _lives(site, worker):
                pending.remove(worker)
                ended[worker.id] = True
                WorkerFiles.of(site.state, worker.id).stop.unlink(missing_ok=True)
                listener(_stopped(site, worker, has_ended=True))
        if not pending:
            return
        if time.monotonic() >= next_word:
            next_word += _HEARTBEAT_S
            for worker in pending:
                tasks = len(site.queue.running_of(worker.id))
                listener(Stopping(worker=worker, tasks=tasks))
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def _forget_requests_to_the_dead(site: Site, workers: Sequence[Worker]) -> None:
    """Remove the requests to workers that have ended before they could read them."""
    for worker in workers:
        if not is_alive(site.state, worker):
            WorkerFiles.of(site.state, worker.id).stop.unlink(missing_ok=True)


def _lives(site: Site, worker: Worker) -> bool:
    """Return True if the worker works, prints its summary, or has processes of tasks left."""
    if (
        is_alive(site.state, worker)
        or WorkerLog.of(site.state, worker).is_written()
    ):
        return True
    return is_held(WorkerFiles.of(site.state, worker.id).slots)


def _stopped(site: Site, worker: Worker, has_ended: bool) -> StoppedWorker:
    died = False
    if has_ended:
        died = worker.id in {other.id for other in site.queue.workers()}
    return StoppedWorker(worker=worker, has_ended=has_ended, died=died)


def _queued(site: Site) -> int:
    """Return the number of runs that a worker of this clone could continue."""
    clone = site.repository.clone_id()
    rows, _ = Catalog.of(site).standing()
    waiting = [
        row
        for row in rows
        if row.clone == clone and row.status in (Status.WAITING, Status.RUNNING)
    ]
    return len(waiting)
