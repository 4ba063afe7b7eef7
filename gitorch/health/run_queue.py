"""The queue: its file, its workers, and whether it says what the records say."""

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
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE, Status
from gitorch.model.text.phrases import counted
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.liveness import WorkerLocks, living
from gitorch.runs.recording import catch_up, queue_entry
from gitorch.runs.records import read_record
from gitorch.runs.site import Site
from gitorch.tools.clock import now
from gitorch.tools.locks import is_held, taken
from gitorch.worker.recover import recover
from gitorch.worker.surroundings import Surroundings

# A worker tells the records first and the queue an instant later: what differs for longer than this differs.
_INSTANT_S = 0.3
# Between making its lock file and registering, a worker that begins is not known.
_BEGINNING_S = 60.0
_FILES = ("", "-wal", "-shm")


def check_file(checkup: Checkup) -> Iterator[Finding]:
    site = checkup.site
    path = site.queue_path
    if not path.exists():
        count = len(checkup.live())
        if count:
            message = f"{path} is gone, and {counted(count, 'run')} should be in it"
            yield checkup.found("queue-missing", message, repair=lambda: catch_up(site))
        return
    try:
        broken = damage(path)
        if broken is None:
            site.queue.runs()
            return
    except GitorchError as error:
        yield Finding(what="queue-unusable", message=error.message, hint=error.hint)
        return
    yield checkup.found(
        "queue-damaged", f"{path} is damaged: {broken}", repair=lambda: _rebuild(site)
    )


def is_usable(site: Site) -> bool:
    """Whether the queue can be looked at; one that is not there is empty."""
    if not site.queue_path.exists():
        return True
    try:
        return damage(site.queue_path) is None and site.queue.runs() is not None
    except GitorchError:
        return False


def check_workers(checkup: Checkup) -> Iterator[Finding]:
    """What dead workers, and kills that were cut short, have left."""
    site = checkup.site
    if not site.queue_path.exists():
        return
    workers = site.queue.workers()
    alive = living(site.state, workers)
    for worker in workers:
        if worker.id not in alive:
            count = len(site.queue.running_of(worker.id))
            message = (
                f"the worker {worker.host}:{worker.pid} died with {counted(count, 'task')} in hand"
            )
            yield checkup.found("dead-worker", message, repair=partial(_recover, checkup))
    known = {worker.id for worker in site.queue.workers()}
    for run in _lasting(lambda: dict.fromkeys(site.queue.kill_requests(), "")):
        message = f"the run {run} was to be killed, and is not dead yet"
        yield checkup.found("kill-unfinished", message, repair=partial(_recover, checkup))
    for claim, holder in [
        claim for run in checkup.queued() for claim in site.queue.running_in(run)
    ]:
        if holder not in known:
            message = f"the task {claim.task} of {claim.run} is RUNNING, and no worker has it"
            yield checkup.found("task-orphaned", message, repair=partial(_give_back, site, claim))
    for path in sorted((site.state / "workers").glob("*.lock")):
        if (
            path.stem not in known
            and time.time() - path.stat().st_mtime > _BEGINNING_S
            and not is_held(path)
        ):
            message = f"{path} was left by a worker that is gone"
            yield checkup.found("worker-file", message, repair=partial(_remove_locks, site, path))


def check_agreement(checkup: Checkup) -> Iterator[Finding]:
    """Records are what counts: the queue is brought to them."""
    site = checkup.site
    if not site.queue_path.exists():
        return  # told already
    for run, message in _lasting(lambda: _differences(site)).items():
        yield checkup.found("queue-disagrees", message, repair=partial(_agree, site, run))
    if checkup.fix and not checkup.broken_records:
        catch_up(site)


def _lasting(look: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """What is seen now, and still a moment later."""
    seen = look()
    if not seen:
        return seen
    time.sleep(_INSTANT_S)
    again = look()
    return {key: again[key] for key in seen if key in again}


def _rebuild(site: Site) -> None:
    """Move the damaged file aside, since something of it may be wanted, and make it anew from the records."""
    held = [lock for lock in (site.state / "workers").glob("*.lock") if is_held(lock)]
    if held:
        raise Busy("a worker is at work with it", f"end it first: fuser -v {held[0]}")
    aside = f"{site.queue_path}.damaged-{now().replace(':', '')}"
    for ending in reversed(_FILES):
        file = Path(f"{site.queue_path}{ending}")
        if file.exists():
            file.rename(f"{aside}{ending}")
    catch_up(site)


def _recover(checkup: Checkup) -> None:
    recover(checkup.site, Surroundings(checkup.site, checkup.environment), lambda _: None)


def _give_back(site: Site, claim: Claim) -> None:
    attempt = ClaimedAttempt.of(site, claim)
    sweep({claim.token: attempt.directory.path}, grace_s=site.settings.grace_s)
    lost = Lost(message="no worker has it")
    end = AttemptEnd(
        run=claim.run, task=claim.task, token=claim.token, status=Status.WAITING, outcome=lost
    )
    site.queue.finish([end])


def _remove_locks(site: Site, path: Path) -> None:
    locks = WorkerLocks.of(site.state, path.stem)
    with taken(locks.alive) as dead:
        if dead:
            locks.remove()


def _differences(site: Site) -> dict[str, str]:
    """By run, how queue and record differ."""
    look = Checkup(site, {}, fix=False)
    queued = look.queued()
    live = {record.id: record for record in look.live()}
    others = {record.id: record for record in look.records}
    doomed = site.queue.kill_requests()
    found = {}
    for run, record in live.items():
        if run not in queued:
            found[run] = f"{named(record)} is {record.status} by its record, and not in the queue"
        elif run not in doomed and (
            said := _difference(record, queued[run]) or _other_commit(site, record)
        ):
            found[run] = f"{named(record)}: {said}"
    for run in queued.keys() - live.keys() - doomed - set(look.broken_records):
        status = f"is {others[run].status}" if run in others else "is not there"
        found[run] = f"{run} is in the queue, and {status} by its record"
    return found


def _difference(record: Record, queued: QueuedRun) -> str | None:
    recorded = {task.id: task.status for task in queue_entry(record).tasks}
    waiting = {task.id: task.status for task in queued.tasks}
    for task in recorded.keys() | waiting.keys():
        by_record, by_queue = (
            recorded.get(task, Status.COMPLETE),
            waiting.get(task, Status.COMPLETE),
        )
        if by_record is not by_queue and (
            by_queue is not Status.RUNNING or by_record is Status.COMPLETE
        ):
            return f"{task} is {by_record} by its record, and {by_queue} by the queue"
    if (record.hold is not None) is not queued.held:
        return (
            f"it is {'held' if record.hold else 'not held'} by its record, and not so by the queue"
        )
    return None


def _other_commit(site: Site, record: Record) -> str | None:
    payload = site.queue.payload(record.id)
    pinned = Payload.from_json(payload).pin.commit if payload else record.pin.commit
    if pinned == record.pin.commit:
        return None
    return f"it is at {record.pin.commit[:12]} by its record, and at {pinned[:12]} by the queue"


def _agree(site: Site, run: str) -> None:
    record = read_record(site.results, run)
    if record is None or record.status not in LIVE or record.clone != site.repository.clone_id():
        if site.queue.running_in(run):
            raise Busy("one of its tasks is running", f"gitorch kill {run} ends it")
        site.queue.remove([run])
        return
    site.queue.bring([queue_entry(record)])
