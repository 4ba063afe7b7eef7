"""The recovery after a crash.

The attempts of a dead worker are committed or given back, and the queue catches up with the
records. No pid is trusted: a worker is dead when its lock is free, and its supervisors are gone
when their lock is free. Processes that survive even them are found by the attempt's token, because
a pid may name another process by now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from gitorch.database.values import Worker
from gitorch.engines.contract import (
    Ended,
    Submission,
    recorded_end,
    submission_of,
)
from gitorch.engines.sweep import sweep
from gitorch.errors import Busy, GitorchError
from gitorch.model.run.announcement import Listener
from gitorch.model.run.outcome import Lost
from gitorch.storage import output_restore, outputs
from gitorch.storage.attempt_owner import give_up_ownership, start_of
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.liveness import WorkerFiles, is_alive, void_copied
from gitorch.storage.recording import catch_up
from gitorch.storage.reuse import recorded_reuse
from gitorch.storage.site import Site
from gitorch.storage.worker_secrets import kept_secrets
from gitorch.tools.locks import how_to_free, taken
from gitorch.tools.process import boot_id
from gitorch.worker.commit import commit
from gitorch.worker.gather import AttemptFiles, gather
from gitorch.worker.killing import finish_killing
from gitorch.worker.surroundings import Surroundings

# A dead worker's supervisors may take this long, beyond the grace that they give their processes.
_SUPERVISORS_S = 10.0
# A process that asks whether the worker is alive holds its lock for a moment.
_READERS_S = 0.05


# Lets a living worker have the attempt of a dead one, unless it does not want it.
Adopter = Callable[[Worker, ClaimedAttempt, Submission], bool]


def recover(
    site: Site,
    surroundings: Surroundings,
    listener: Listener,
    *,
    adopt: Adopter | None = None,
) -> None:
    """Bring the queue to the state of the records, and of the attempts of dead workers.

    Attempts that are still executed elsewhere are adopted, or stay those of the dead worker. Safe
    to repeat, and beside living workers. Raises Busy if a dead worker's processes do not end.
    """
    void_copied(site)
    for worker in site.queue.workers():
        if is_alive(site.state, worker):
            continue
        locks = WorkerFiles.of(site.state, worker.id)
        with taken(locks.alive, wait_s=_READERS_S) as dead:
            if dead:
                _recover_from(site, worker, locks, surroundings, listener, adopt)
    run_ids = sorted(site.queue.kill_requests())
    if run_ids:
        finish_killing(site, run_ids, by="recovery")
    catch_up(site)


def _recover_from(
    site: Site,
    worker: Worker,
    locks: WorkerFiles,
    surroundings: Surroundings,
    listener: Listener,
    adopt: Adopter | None,
) -> None:
    """Commit the attempts that a dead worker started, give back the others, and remove it."""
    with taken(
        locks.slots,
        wait_s=site.settings.grace_s + _SUPERVISORS_S,
        awaited=f"the processes of a dead worker (pid {worker.pid}) to end",
    ) as gone:
        if not gone:
            raise Busy(
                f"the processes of a dead worker (pid {worker.pid}) do not end",
                hint=how_to_free(locks.slots),
            )
        attempts, continuing = _parted(site, worker)
        surroundings.remember(kept_secrets(locks))
        sweep({attempt.claim.token: attempt.directory.path for attempt in attempts})
        for attempt in attempts:
            reuse = recorded_reuse(site, attempt)
            if (
                reuse is None
                and worker.boot == boot_id()
                and not _has_started(attempt)
            ):
                give_up_ownership(attempt)
                site.queue.give_back(attempt.claim)
                continue
            ending = reuse or _gathered(site, attempt, worker, surroundings)
            for announcement in commit(site, [ending], by="recovery"):
                listener(announcement)
        if not _have_heirs(worker, continuing, adopt):
            return
        site.queue.unregister(worker.id)
    locks.remove()


def _have_heirs(
    worker: Worker,
    continuing: Sequence[tuple[ClaimedAttempt, Submission]],
    adopt: Adopter | None,
) -> bool:
    """Have attempts adopted that are executed elsewhere. Return True if none is left."""
    left = 0
    for attempt, submission in continuing:
        if adopt is None or not adopt(worker, attempt, submission):
            left += 1
    return left == 0


def _parted(
    site: Site, worker: Worker
) -> tuple[list[ClaimedAttempt], list[tuple[ClaimedAttempt, Submission]]]:
    """Return the attempts of a dead worker that have ended with it, and those that continue."""
    over = []
    continuing = []
    for claim in site.queue.running_of(worker.id):
        attempt = ClaimedAttempt.of(site, claim)
        directory = attempt.directory.path
        submission = submission_of(directory, claim.token)
        if submission is None or recorded_end(directory, claim.token) is not None:
            over.append(attempt)
        else:
            continuing.append((attempt, submission))
    return over, continuing


def _has_started(attempt: ClaimedAttempt) -> bool:
    """Return True if a slot has taken the attempt.

    The first thing that a slot does is to open the log, or to record why the attempt cannot start.
    """
    return attempt.directory.log.exists() or attempt.directory.status.exists()


def _gathered(
    site: Site, attempt: ClaimedAttempt, worker: Worker, surroundings: Surroundings
) -> AttemptFiles:
    """Gather an attempt of a dead worker. The attempt is lost if it recorded no end."""
    outputs.forget(site, attempt.run)
    if worker.boot != boot_id():
        # A large file may be missing on this machine; what follows reports that.
        with suppress(GitorchError, OSError):
            output_restore.refill_emptied(site, attempt.run)
    ended = recorded_end(attempt.directory.path, attempt.claim.token)
    if ended is None:
        outcome = Lost(message="its worker died")
        claim = attempt.claim
        started = start_of(attempt.directory, claimed=claim.started)
        ended = Ended.unrecorded(claim.token, outcome, started=started)
    return gather(site, attempt, ended, surroundings)
