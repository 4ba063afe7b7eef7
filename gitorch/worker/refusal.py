"""Ends of attempts that are not accepted: the reason, and where log and outputs are kept."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from gitorch.database.values import Claim
from gitorch.model.branch_layout import ATTEMPT, RunPaths, killed_mark
from gitorch.model.run.announcement import AttemptRefused
from gitorch.model.run.record import Record, RecordBroken
from gitorch.model.run.record_changes import Standing, standing
from gitorch.model.run.status import LIVE, Status
from gitorch.storage.attempt_owner import owner_of
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.recording import Recording, recording
from gitorch.storage.site import Site

_KILLED = "its run was killed"


def refuse(site: Site, attempt: ClaimedAttempt) -> AttemptRefused | None:
    """Bring the queue to the record that did not accept an attempt. Return the announcement.

    Return None if the record has the end of exactly this attempt already. The attempt's directory
    is moved to a place where no other attempt overwrites it.
    """
    claim = attempt.claim
    with recording(site) as changes:
        try:
            record = changes.record(claim.run)
        except RecordBroken as error:
            site.queue.remove([claim.run])
            files = _kept_apart(site, attempt)
            return _announcement(attempt, error.message, files=files)
        if record is None or claim.run in site.queue.kill_requests():
            return _announcement(attempt, _KILLED, was_killed=True)
        site.queue.void(claim)
        changes.follow(claim.run, record)
        changes.bring_queue()
        if _is_recorded(changes, record, claim):
            return None
    files = _kept_apart(site, attempt)
    has_outputs = False
    if files is not None and record.status not in LIVE:
        has_outputs = _keep_outputs_apart(attempt, files)
    return _announcement(
        attempt, _reason(record, claim), files=files, has_outputs=has_outputs
    )


def killed_before_start(
    site: Site, attempt: ClaimedAttempt
) -> AttemptRefused | None:
    """Return the announcement that the run of an attempt was killed before the attempt began.

    Return None if it was not killed, but another worker has it.
    """
    run_id = attempt.claim.run
    is_being_killed = run_id in site.queue.kill_requests()
    if not is_being_killed and site.results.read(killed_mark(run_id)) is None:
        return None
    return _announcement(attempt, _KILLED, was_killed=True)


def _announcement(
    attempt: ClaimedAttempt,
    why: str,
    *,
    files: Path | None = None,
    has_outputs: bool = False,
    was_killed: bool = False,
) -> AttemptRefused:
    return AttemptRefused(
        run_id=attempt.claim.run,
        label=attempt.payload.spec.label,
        task=attempt.claim.task,
        number=attempt.claim.number,
        why=why,
        files=files,
        has_outputs=has_outputs,
        was_killed=was_killed,
    )


def _is_recorded(changes: Recording, record: Record, claim: Claim) -> bool:
    """Return True if the results branch has the end of this attempt, maybe an earlier one."""
    if claim.task not in record.needs:
        return False
    has = standing(record, claim.task, claim.number, claim.token)
    if has is not Standing.SUPERSEDED:
        return has is Standing.RECORDED
    paths = RunPaths.of(record.id).attempt(claim.task, claim.number)
    data = changes.branch.read(paths.file(ATTEMPT))
    with suppress(ValueError, TypeError, KeyError):
        return bool(json.loads(data or b"")["token"] == claim.token)
    return False


def _reason(record: Record, claim: Claim) -> str:
    if record.status is Status.FAILED:
        return "the run is FAILED"
    if claim.task not in record.needs:
        return "the run has no such task"
    task = record.task(claim.task)
    if standing(record, claim.task, claim.number, claim.token) is Standing.CURRENT:
        return "the attempt had been given up, or its task was claimed again"
    if task.status is Status.COMPLETE and task.attempts:
        last = task.attempts[-1]
        return f"attempt {last.number} on {last.host} has completed the task"
    if task.status is Status.COMPLETE:
        return "the task is COMPLETE with the results of another run"
    return f"the record already has attempt {task.attempt_count} of the task"


def _kept_apart(site: Site, attempt: ClaimedAttempt) -> Path | None:
    """Move the directory of the attempt, if it is its own. Return the place of its files."""
    claim = attempt.claim
    directory = attempt.directory
    owner = owner_of(directory)
    if owner is not None and owner.token != claim.token:
        return None
    name = f"{claim.run}-{claim.task}-{claim.number}-{claim.token[:8]}"
    aside = site.workspace / "not-accepted" / name
    try:
        aside.parent.mkdir(exist_ok=True)
        directory.path.rename(aside)
    except OSError:
        return directory.path if directory.path.exists() else None
    return aside


def _keep_outputs_apart(attempt: ClaimedAttempt, aside: Path) -> bool:
    """Move the outputs beside the log, since the directory of a run that is over is removed.

    The outputs of a live run stay where its next attempt continues. Return False if there are none.
    """
    try:
        attempt.run.output.rename(aside / "output")
    except OSError:  # they are on another disk, or gone
        return False
    return True
