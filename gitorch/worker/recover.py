"""After a crash: what a dead worker had in hand is collected or given back, and the queue catches up with the records.

Nothing here trusts a pid. A worker is dead when its lock is free; its supervisors are gone when theirs is; and what
survived even them is found by the attempt's token, not by a number that may be another process's by now.
"""

from __future__ import annotations

from contextlib import suppress

from gitorch.database.values import Worker
from gitorch.engines.contract import Ended, recorded_end
from gitorch.engines.sweep import sweep
from gitorch.errors import Busy, GitorchError
from gitorch.model.run.announcement import Listener
from gitorch.model.run.outcome import Lost
from gitorch.runs import output_restore, outputs
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.liveness import WorkerLocks
from gitorch.runs.recording import catch_up
from gitorch.runs.reuse import recorded_reuse
from gitorch.runs.site import Site
from gitorch.tools.locks import taken
from gitorch.tools.process import boot_id
from gitorch.worker.commit import commit
from gitorch.worker.gather import AttemptFiles, gather
from gitorch.worker.killing import finish_killing
from gitorch.worker.surroundings import Surroundings

# How long a dead worker's supervisors may take beyond the grace they give their processes.
_SUPERVISORS_S = 10.0
# A reader that asks whether the worker is alive holds its lock for an instant.
_READERS_S = 0.05


def recover(site: Site, surroundings: Surroundings, listener: Listener) -> None:
    """Bring the queue to what records and dead workers' attempts say. Safe to repeat, and beside living workers.

    Raises Busy where a dead worker's processes do not end.
    """
    for worker in site.queue.workers():
        locks = WorkerLocks.of(site.state, worker.id)
        with taken(locks.alive, wait_s=_READERS_S) as dead:
            if dead:
                _bury(site, worker, locks, surroundings, listener)
    if doomed := sorted(site.queue.kill_requests()):
        finish_killing(site, doomed, by="recovery")
    catch_up(site)


def _bury(
    site: Site, worker: Worker, locks: WorkerLocks, surroundings: Surroundings, listener: Listener
) -> None:
    """Collect what a dead worker's attempts recorded, give back the others, and forget the worker."""
    with taken(locks.slots, wait_s=site.settings.grace_s + _SUPERVISORS_S) as gone:
        if not gone:
            raise Busy(
                f"the processes of a dead worker (pid {worker.pid}) do not end",
                hint=f"see what they do: fuser -v {locks.slots}",
            )
        attempts = [ClaimedAttempt.of(site, claim) for claim in site.queue.running_of(worker.id)]
        sweep({attempt.claim.token: attempt.directory.path for attempt in attempts})
        for attempt in attempts:
            reuse = recorded_reuse(site, attempt)
            if reuse is None and worker.boot == boot_id() and not _was_begun(attempt):
                site.queue.give_back(attempt.claim)
                continue
            ending = reuse or _gathered(site, attempt, worker, surroundings)
            for announcement in commit(site, [ending], by="recovery"):
                listener(announcement)
        site.queue.unregister(worker.id)
    locks.remove()


def _was_begun(attempt: ClaimedAttempt) -> bool:
    """Whether a slot took it up: the first thing that one does is to open the log, or to say why it cannot start."""
    return attempt.directory.log.exists() or attempt.directory.status.exists()


def _gathered(
    site: Site, attempt: ClaimedAttempt, worker: Worker, surroundings: Surroundings
) -> AttemptFiles:
    outputs.forget(site, attempt.run)
    if worker.boot != boot_id():
        with suppress(GitorchError, OSError):  # a large file that is not here: what follows says so
            output_restore.refill_emptied(site, attempt.run)
    ended = recorded_end(attempt.directory.path, attempt.claim.token)
    if ended is None:
        outcome = Lost(message="its worker died")
        claim = attempt.claim
        ended = Ended.unrecorded(claim.token, outcome, started=claim.started)
    return gather(site, attempt, ended, surroundings)
