"""What a worker does if queue.db does not agree with the owners of attempts.

This happens if queue.db is removed, or replaced by an older file, while a worker lives. The owners
that are noted in the directories of attempts are then right.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitorch.database.values import Worker
from gitorch.model.run.record_changes import Standing, standing
from gitorch.storage.attempt_owner import Owner, claim_of, owner_of
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.recording import Recording, catch_up, recording
from gitorch.storage.site import Site


def yield_to(site: Site, attempt: ClaimedAttempt, owner: Owner) -> None:
    """Give up the claim of an attempt that another worker owns, and enter that worker in the queue.

    If the worker is dead, the recovery then finds its attempt there. If the record has the end of
    the attempt already, the queue is brought to the record instead.
    """
    with recording(site) as changes:
        if _is_open(changes, attempt, owner.token):
            site.queue.entrust(owner.worker, claim_of(owner, attempt.claim))
            return
        site.queue.void(attempt.claim)
        changes.follow(attempt.claim.run, changes.record(attempt.claim.run))
        changes.bring_queue()


def rejoin(site: Site, worker: Worker, attempts: Iterable[ClaimedAttempt]) -> None:
    """Continue with the queue.db that is there now, which may be new, and enter `worker` in it.

    `attempts` are those that the worker has claimed.
    """
    site.queue.reopen()
    catch_up(site)
    by_token = {attempt.claim.token: attempt for attempt in attempts}
    with recording(site) as changes:
        site.queue.register(worker)
        for token, attempt in by_token.items():
            owner = owner_of(attempt.directory)
            is_own = owner is not None and owner.token == token
            if is_own and _is_open(changes, attempt, token):
                site.queue.entrust(worker, attempt.claim)
        for claim in site.queue.running_of(worker.id):
            if claim.token not in by_token:
                site.queue.void(claim)
                changes.follow(claim.run, changes.record(claim.run))
        changes.bring_queue()


def _is_open(changes: Recording, attempt: ClaimedAttempt, token: str) -> bool:
    """Return True if the record would accept the end of the attempt with this token."""
    record = changes.record(attempt.claim.run)
    if record is None:
        return False
    claim = attempt.claim
    return standing(record, claim.task, claim.number, token) is Standing.CURRENT
