"""The failure of a cached task, which other runs with the same cache key get without executing it.

A task that failed by itself would fail again with the same code, parameters and data. The failure
counts for the runs that were queued before it, as long as the task that failed is in ERROR. Once
an operator retries it, or readies another run, the task is executed again. A cause that may pass
says nothing about another run: a lost worker, a signal, too little memory, a time limit, a program
that could not start.
"""

from __future__ import annotations

from msgspec import Struct

from gitorch.model.run.outcome import ExitCode
from gitorch.model.run.policy import lasts
from gitorch.model.run.spec import Retries
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.run_directories import payload_of
from gitorch.storage.site import Site


class KnownFailure(Struct, frozen=True, kw_only=True):
    """A claimed task that is not executed, because it failed in the run `source`."""

    attempt: ClaimedAttempt
    source: str
    outcome: ExitCode


def known_failure(
    site: Site, attempt: ClaimedAttempt, key: str, created: str
) -> KnownFailure | None:
    """Return the failure of a task that computed `key`, or None if the attempt is to be executed.

    Only the first attempt of a task gets such a failure: a retry executes the task. `created` is
    the time when the run was made.
    """
    if attempt.claim.number > 1:
        return None
    for run_id, task_id, outcome in site.queue.failures_of(key, created):
        if not isinstance(outcome, ExitCode) or not lasts(outcome):
            continue
        if _tries(attempt.task.retries) > _tries_of(site, run_id, task_id):
            continue
        message = f"as in run {run_id}"
        if outcome.message:
            message += f": {outcome.message}"
        failure = ExitCode(exit_code=outcome.exit_code, message=message)
        return KnownFailure(attempt=attempt, source=run_id, outcome=failure)
    return None


def _tries_of(site: Site, run_id: str, task_id: str) -> int:
    payload = payload_of(site, run_id)
    return 0 if payload is None else _tries(payload.spec.task(task_id).retries)


def _tries(retries: Retries | None) -> int:
    return 0 if retries is None else retries.max
