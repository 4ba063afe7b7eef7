"""Checks of the queue: its file, its workers, and its agreement with the records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from gitorch.database.examine import damage
from gitorch.database.values import AttemptEnd, Claim, QueuedRun
from gitorch.engines.sweep import sweep
from gitorch.errors import Busy, GitorchError
from gitorch.health.checkup import Checkup, Finding, named
from gitorch.model.run.outcome import Lost
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE, Status
from gitorch.model.text.phrases import counted
from gitorch.storage import ledger
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.liveness import WorkerFiles, living, void_copied
from gitorch.storage.recording import catch_up, queue_entry, recording
from gitorch.storage.run_directories import payload_of
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from gitorch.tools.locks import how_to_free, is_held, taken
from gitorch.worker.recover import recover
from gitorch.worker.surroundings import Surroundings

# The queue is changed a moment after the records. Only a difference that lasts longer is an error.
_INSTANT_S = 0.3
# A new worker makes its lock file before it registers. A file that is older than this does not
# belong to a new worker.
_BEGINNING_S = 60.0
_FILES = ("", "-wal", "-shm")


def check_file(checkup: Checkup) -> Iterator[Finding]:
    """Find a queue.db that is missing, damaged, or unusable for another reason."""
    site = checkup.site
    path = site.queue_path
    rebuild = partial(_rebuild, site)
    if not path.exists():
        count = len(checkup.live())
        if count:
            message = f"{path} is gone, and {counted(count, 'run')} should be in it"
            yield checkup.repairable("queue-missing", message, repair=rebuild)
        return
    try:
        broken = damage(path)
        if broken is None:
            site.queue.runs()
            return
    except GitorchError as error:
        yield Finding(what="queue-unusable", message=error.message, hint=error.hint)
        return
    yield checkup.repairable(
        "queue-damaged", f"{path} is damaged: {broken}", repair=rebuild
    )


def is_usable(site: Site) -> bool:
    """Return True if the queue can be read. A queue that does not exist is empty."""
    if not site.queue_path.exists():
        return True
    try:
        if damage(site.queue_path) is not None:
            return False
        site.queue.runs()
    except GitorchError:
        return False
    return True


def check_workers(checkup: Checkup) -> Iterator[Finding]:
    """Find the remains of dead workers and of interrupted kills."""
    if checkup.site.queue_path.exists():
        yield from _dead_workers(checkup)
        yield from _unfinished_kills(checkup)
        yield from _orphaned_tasks(checkup)
        yield from _lock_files(checkup)


def _dead_workers(checkup: Checkup) -> Iterator[Finding]:
    site = checkup.site
    workers = site.queue.workers()
    alive = living(site.state, workers)
    for worker in workers:
        if worker.id not in alive:
            tasks = counted(len(site.queue.running_of(worker.id)), "running task")
            message = f"the worker {worker.host}:{worker.pid} died and left {tasks}"
            repair = partial(_recover, checkup)
            yield checkup.repairable("dead-worker", message, repair=repair)


def _unfinished_kills(checkup: Checkup) -> Iterator[Finding]:
    queue = checkup.site.queue
    repair = partial(_recover, checkup)
    for run_id in _lasting(lambda: dict.fromkeys(queue.kill_requests(), "")):
        message = f"gitorch kill of the run {run_id} is not finished"
        yield checkup.repairable("kill-unfinished", message, repair=repair)


def _orphaned_tasks(checkup: Checkup) -> Iterator[Finding]:
    site = checkup.site
    registered = _registered_workers(site)
    for run_id in checkup.queued():
        for claim, worker_id in site.queue.running_in(run_id):
            if worker_id not in registered:
                message = f"the task {claim.task} of {claim.run} is RUNNING, but no worker has it"
                give_back = partial(_give_back, site, claim)
                yield checkup.repairable("task-orphaned", message, repair=give_back)


def _lock_files(checkup: Checkup) -> Iterator[Finding]:
    site = checkup.site
    registered = _registered_workers(site)
    for path in sorted((site.state / "workers").glob("*.lock")):
        if path.stem in registered or is_held(path):
            continue
        age_s = time.time() - path.stat().st_mtime
        if age_s > _BEGINNING_S:
            message = f"{path} was left by a worker that is gone"
            remove = partial(_remove_locks, site, path)
            yield checkup.repairable("worker-file", message, repair=remove)


def _registered_workers(site: Site) -> set[str]:
    return {worker.id for worker in site.queue.workers()}


def check_agreement(checkup: Checkup) -> Iterator[Finding]:
    """Find runs whose queue entry differs from their record. The records are right."""
    site = checkup.site
    if not site.queue_path.exists():
        return  # `check_file` has reported it
    for run_id, message in _lasting(lambda: _differences(site)).items():
        repair = partial(_bring_to_record, site, run_id)
        yield checkup.repairable("queue-disagrees", message, repair=repair)
    if checkup.fix:
        catch_up(site)


def check_origin(checkup: Checkup) -> Iterator[Finding]:
    """Find live runs that bear this clone's id, but came from elsewhere or were changed there."""
    for record in checkup.not_queued_here():
        yield Finding(
            what="not-queued-here",
            message=f"{named(record)} was not queued by this clone as its record is now, "
            "so it does not run",
            hint=f"gitorch show {record.id} shows what it executes; "
            f"gitorch adopt {record.id} takes it over, gitorch kill {record.id} removes it",
        )


def _lasting(look: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Call `look` twice, a moment apart. Return the entries of keys that both calls returned."""
    first = look()
    if not first:
        return first
    time.sleep(_INSTANT_S)
    second = look()
    return {key: second[key] for key in first if key in second}


def _rebuild(site: Site) -> None:
    """Rebuild the queue from the records.

    A damaged file is moved aside, so that parts of it can still be recovered by hand.
    """
    held = [
        lock for lock in (site.state / "workers").glob("*.lock") if is_held(lock)
    ]
    if held:
        raise Busy("a worker is using it", how_to_free(held[0]))
    aside = f"{site.queue_path}.damaged-{now().replace(':', '')}"
    for ending in reversed(_FILES):
        file = Path(f"{site.queue_path}{ending}")
        if file.exists():
            file.rename(f"{aside}{ending}")
    catch_up(site)


def _recover(checkup: Checkup) -> None:
    recover(
        checkup.site,
        Surroundings(checkup.site, checkup.environment),
        lambda _: None,
    )


def _give_back(site: Site, claim: Claim) -> None:
    void_copied(site)
    if not site.queue.is_current(claim.run, claim.task, claim.token):
        return
    attempt = ClaimedAttempt.of(site, claim)
    sweep({claim.token: attempt.directory.path}, grace_s=site.settings.grace_s)
    end = AttemptEnd(
        run=claim.run,
        task=claim.task,
        token=claim.token,
        status=Status.WAITING,
        outcome=Lost(message="no worker has it"),
    )
    site.queue.finish([end])


def _remove_locks(site: Site, path: Path) -> None:
    locks = WorkerFiles.of(site.state, path.stem)
    with taken(locks.alive) as is_dead:
        if is_dead:
            locks.remove()


def _differences(site: Site) -> dict[str, str]:
    """Return how queue and record differ, by run id.

    A difference is normal while a run is being killed. Nothing is known about a run whose record is
    broken.
    """
    checkup = Checkup(site, {}, fix=False)
    queued = checkup.queued()
    live = {record.id: record for record in checkup.live()}
    kill_requests = site.queue.kill_requests()
    differences = {}
    for run_id, record in live.items():
        if run_id not in queued:
            problem = f"{named(record)} is {record.status} by its record, but not in the queue"
            differences[run_id] = problem
        elif run_id not in kill_requests:
            problems = _problems(site, record, queued[run_id])
            if problems:
                differences[run_id] = f"{named(record)}: {problems[0]}"
    statuses = {record.id: record.status for record in checkup.records}
    unexplained = (
        queued.keys() - live.keys() - kill_requests - checkup.broken_records.keys()
    )
    for run_id in unexplained:
        state = "this clone has no record of it"
        if run_id in statuses:
            state = f"it is {statuses[run_id]} by its record"
        differences[run_id] = f"{run_id} is in the queue, but {state}"
    return differences


def _problems(site: Site, record: Record, queued: QueuedRun) -> list[str]:
    """Return how the queue entry of a live run differs from its record."""
    problems = []
    by_record = {task.id: task.status for task in queue_entry(record).tasks}
    by_queue = {task.id: task.status for task in queued.tasks}
    for task_id in by_record.keys() | by_queue.keys():
        recorded = by_record.get(task_id, Status.COMPLETE)
        status = by_queue.get(task_id, Status.COMPLETE)
        # Records do not say which of the unfinished tasks are running.
        is_running = status is Status.RUNNING and recorded is not Status.COMPLETE
        if status is not recorded and not is_running:
            problems.append(
                f"{task_id} is {recorded} by its record, but {status} in the queue"
            )
    is_held = record.hold is not None
    if is_held is not queued.held:
        problem = "it is held in the queue, but not by its record"
        if is_held:
            problem = "it is held by its record, but not in the queue"
        problems.append(problem)
    payload = payload_of(site, record.id)
    if payload is not None and payload.pin.commit != record.pin.commit:
        own, other = record.pin.commit[:12], payload.pin.commit[:12]
        problems.append(
            f"it is at {own} by its record, but at {other} in the queue"
        )
    return problems


def _bring_to_record(site: Site, run_id: str) -> None:
    """Bring a run's queue entry to its record, or remove it if the run should not be queued.

    Raises Busy if a task of a run that should not be queued is running.
    """
    with recording(site) as changes:
        record = changes.record(run_id)
        if record is not None and not ledger.has_queued(site, record):
            record = None
        is_live = record is not None and record.status in LIVE
        if not is_live and site.queue.running_in(run_id):
            raise Busy(
                "one of its tasks is running", f"gitorch kill {run_id} ends it"
            )
        changes.follow(run_id, record)
        changes.bring_queue()
