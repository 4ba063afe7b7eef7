"""How runs are killed: their processes end, then their records and queue entries are removed.

The request to kill a run is stored in the queue first. From then on no task of the run is claimed,
and no attempt of the run is accepted. Any program can carry out the request, also after a crash.
The record is removed only when the whole process tree is dead.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.database.values import Claim
from gitorch.engines.contract import Engine, Submission, recorded_end, submission_of
from gitorch.engines.registry import engine_named
from gitorch.engines.several import Engines
from gitorch.engines.sweep import sweep
from gitorch.errors import Busy
from gitorch.model.run.outcome import Killed
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.liveness import living, void_copied
from gitorch.storage.recording import recording, repeated_if_runs_change
from gitorch.storage.run_directories import clear_away
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from gitorch.tools.random_names import random_hex
from gitorch.tools.waits import Wait

# Beyond that, what is executed elsewhere may take this long to end.
_ELSEWHERE_S = 120.0
# A living worker may take this long, beyond the grace of its processes. After that, its processes
# are ended without it.
_WORKER_S = 5.0


@repeated_if_runs_change
def finish_killing(
    site: Site, run_ids: Sequence[str], *, by: str, why: str | None = None
) -> list[Record]:
    """Kill the runs that are requested to be killed. Safe to repeat.

    Return the records of the runs that had completed before the request: they are kept.
    """
    void_copied(site)
    for run_id in run_ids:
        _end_processes(site, run_id)
    completed = []
    removed = []
    mark = f"{now()} {by}: {why or 'killed'}\n".encode()
    with recording(site) as changes:
        for run_id in run_ids:
            record = changes.record(run_id)
            if record is not None and record.status is not Status.COMPLETE:
                changes.remove(record, mark=mark)
                removed.append(record)
                continue
            if record is not None:
                completed.append(record)
            changes.follow(run_id, record)
        if removed:
            names = removed[0].id if len(removed) == 1 else f"{len(removed)} runs"
            reason = f" ({why})" if why else ""
            changes.commit(f"{names}: kill{reason}")
        else:
            changes.bring_queue()
    for run_id in run_ids:
        clear_away(site, run_id)
    return completed


def _end_processes(site: Site, run_id: str) -> None:
    """Wait until the run's workers have ended its attempts.

    If the workers are dead or do not answer, the attempts are ended here.
    """
    wait = Wait(
        f"the worker of {run_id} to end it",
        bound_s=site.settings.grace_s + _WORKER_S,
    )
    elsewhere = Wait(
        f"the worker of {run_id} to end it", bound_s=wait.remaining_s + _ELSEWHERE_S
    )
    while claims := site.queue.running_in(run_id):
        alive = living(site.state, site.queue.workers())
        has_worker = any(worker in alive for _, worker in claims)
        own = [claim for claim, _ in claims]
        is_elsewhere = bool(_submitted(site, own))
        if has_worker and (elsewhere if is_elsewhere else wait).pause():
            continue
        _end_elsewhere(site, own)
        _sweep(site, own)
        return


def _submitted(
    site: Site, claims: Sequence[Claim]
) -> list[tuple[ClaimedAttempt, Submission]]:
    """Return the attempts that an engine executes elsewhere."""
    found = []
    for claim in claims:
        attempt = ClaimedAttempt.of(site, claim)
        directory = attempt.directory.path
        submission = submission_of(directory, claim.token)
        is_over = recorded_end(directory, claim.token) is not None
        if submission is not None and not is_over:
            found.append((attempt, submission))
    return found


def _end_elsewhere(site: Site, claims: Sequence[Claim]) -> None:
    """End the attempts that continue without a worker, through their engines.

    Raises GitorchError if their engine cannot be used on this machine, and Busy.
    """
    submitted = _submitted(site, claims)
    if not submitted:
        return
    lock = site.state / "workers" / f"{random_hex(6)}.killing"

    def make(name: str) -> Engine:
        return engine_named(name)(len(submitted), lock)

    pending = set()
    wait = Wait("the submitted tasks to end", bound_s=_ELSEWHERE_S)
    with Engines(len(submitted), None, make) as engines:
        for attempt, submission in submitted:
            token = attempt.claim.token
            if engines.take_over(token, attempt.directory.path, submission.engine):
                engines.cancel(token, Killed())
                pending.add(token)
        while pending:
            for ended in engines.poll():
                pending.discard(ended.token)
            if pending and not wait.pause():
                raise Busy(
                    f"{counted(len(pending), 'submitted task')} did not end",
                    hint="try again: gitorch kill ends them when their engine answers",
                )


def _sweep(site: Site, claims: Sequence[Claim]) -> None:
    attempts = [ClaimedAttempt.of(site, claim) for claim in claims]
    sweep(
        {attempt.claim.token: attempt.directory.path for attempt in attempts},
        grace_s=site.settings.grace_s,
    )
    for claim in claims:
        site.queue.end_killed_task(claim.run, claim.task, claim.token)
