"""Gathering: the files that an attempt left are read into values, which are then committed.

Nothing here changes the results branch or the queue, so it can be repeated after a crash.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from gitorch.engines.contract import Ended
from gitorch.engines.order_files import Began, began, host_of
from gitorch.errors import GitorchError
from gitorch.git.store import artifacts
from gitorch.git.store.artifacts import Stored, Unkeepable
from gitorch.git.store.spool import Spool
from gitorch.git.worktree.contract import UNMODIFIED, Modified
from gitorch.model.branch_layout import ATTEMPT, CHANGES, EVENTS, LOG, SERIES, USED
from gitorch.model.run import policy, record
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Outcome,
    Succeeded,
    without_log,
)
from gitorch.model.run.policy import Next
from gitorch.model.run.record_changes import AttemptResult
from gitorch.model.run.status import Status
from gitorch.model.text.masking import Masking
from gitorch.storage import log, outputs
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.kept_series import render_series
from gitorch.storage.known_failure import KnownFailure
from gitorch.storage.reports import Reports, read_reports
from gitorch.storage.site import Site
from gitorch.storage.unkept import UnkeptNotes
from gitorch.storage.used_files import read_use
from gitorch.tools.readable_json import render_json
from gitorch.tools.untrusted import blocks, open_file
from gitorch.worker.explanation import explained
from gitorch.worker.kept_log import KeptLog, read_log
from gitorch.worker.params_file import unchanged_params_file
from gitorch.worker.surroundings import Surroundings

# Errors of the disk or the system. They say nothing about the attempt.
_SYSTEM_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
)
_CHUNK = 1 << 20


class AttemptFiles(Struct, frozen=True, kw_only=True):
    """An ended attempt with everything to commit.

    `files` are the attempt's own; `outputs` are those of the run that are new or changed. `tail` is
    the end of the log, and `hint` says what to do about a failure.
    """

    attempt: ClaimedAttempt
    follows: Next
    collected: AttemptResult
    files: Mapping[str, bytes | Stored]
    outputs: Mapping[str, Stored]
    tail: tuple[str, ...]
    hint: str | None = None


def gather(
    site: Site, attempt: ClaimedAttempt, ended: Ended, surroundings: Surroundings
) -> AttemptFiles:
    """Read the files that the attempt wrote. Its notes name the files that cannot be kept.

    If the files are in an unforeseen state, only this attempt fails. Raises GitorchError, and
    OSError if the disk is at fault: the attempt can then be gathered later.
    """
    try:
        return _gather(site, attempt, ended, surroundings)
    except GitorchError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
            raise
        return _ungathered(attempt, ended, error)


def _ungathered(
    attempt: ClaimedAttempt, ended: Ended, error: Exception
) -> AttemptFiles:
    """Return the end of an attempt whose files cannot be read."""
    reason = (
        f"its files cannot be read ({type(error).__name__}: {error}); "
        f"they stay in {attempt.run.path}"
    )
    message = f"{reason}; it ended with: {ended.outcome}"
    outcome = replace(ended.outcome, message=message)
    return _without_files(attempt, ended, outcome, message, notes=(message,))


def not_executed(failure: KnownFailure) -> AttemptFiles:
    """Return the end of an attempt that gets the failure of another run."""
    attempt, outcome = failure.attempt, failure.outcome
    message = (
        f"not executed, since the same task failed in run {failure.source}; "
        f"gitorch logs {failure.source} shows its log, "
        f"gitorch retry {attempt.claim.run} executes it here"
    )
    ended = Ended.unrecorded(attempt.claim.token, outcome)
    return _without_files(attempt, ended, outcome, message, notes=())


def _without_files(
    attempt: ClaimedAttempt,
    ended: Ended,
    outcome: Outcome,
    message: str,
    *,
    notes: tuple[str, ...],
) -> AttemptFiles:
    """Return the end of an attempt in ERROR without files. Its log has only the message."""
    files = {LOG: f"gitorch: {message}\n".encode(errors="replace")}
    kept_attempt = _kept_attempt(
        attempt,
        ended,
        outcome,
        place=began(attempt.directory.path, ended.token),
        notes=notes,
        files=files,
    )
    return AttemptFiles(
        attempt=attempt,
        follows=Next(status=Status.ERROR, outcome=outcome),
        collected=AttemptResult(
            task=attempt.task.id,
            status=Status.ERROR,
            attempt=kept_attempt,
            result=None,
            metrics={},
            outputs=None,
            environment={},
        ),
        files={**files, ATTEMPT: render_json(kept_attempt.to_json())},
        outputs={},
        tail=(),
    )


def _kept_attempt(
    attempt: ClaimedAttempt,
    ended: Ended,
    outcome: Outcome,
    *,
    place: Began | None,
    modified: tuple[str, ...] = (),
    location: str | None = None,
    notes: tuple[str, ...] = (),
    environment_sha256: str | None = None,
    undeclared: tuple[str, ...] = (),
    files: Mapping[str, bytes | Stored],
) -> record.Attempt:
    stored = {}
    for name, content in files.items():
        stored[name] = content.kind if isinstance(content, Stored) else "git"
    return record.Attempt(
        number=attempt.claim.number,
        token=attempt.claim.token,
        started=ended.started,
        ended=ended.ended,
        duration_s=ended.duration_s,
        host=host_of(place),
        outcome=outcome,
        pin=attempt.payload.pin,
        left_running=ended.left_running,
        modified=modified,
        notes=notes,
        stored=stored,
        location=location,
        environment_sha256=environment_sha256,
        undeclared=undeclared,
    )


def _gather(
    site: Site, attempt: ClaimedAttempt, ended: Ended, surroundings: Surroundings
) -> AttemptFiles:
    spool = Spool(site.repository.common_dir)
    notes = UnkeptNotes()
    found = outputs.find(
        site, attempt.run, attempt.payload.spec, attempt.task, spool
    )
    masking = surroundings.masking(attempt.payload.spec)
    kept_log = read_log(site, attempt, ended.outcome, masking, notes)
    modified = _modified(site, attempt, ended.outcome, masking, notes)
    files = _files(site, attempt, kept_log, modified, spool, notes, masking)
    use = read_use(site, attempt, ended.started, surroundings.environment)
    if use.used is not None:
        files[USED] = masking.data(render_json(use.used.to_json()))
    has_succeeded = isinstance(ended.outcome, Succeeded)
    reports = read_reports(attempt, has_succeeded=has_succeeded)
    files |= _kept_series(reports, masking)
    outcome = _outcome(attempt, ended, kept_log, masking)
    follows = _next(site, attempt, outcome)
    failure = found.failure or notes.failure
    if failure and has_succeeded:
        follows = _after_unkept(attempt, failure)
    place = began(attempt.directory.path, ended.token)
    described = surroundings.describe(
        attempt.payload, attempt.run.tree, masking, place
    )
    remarks = [*found.notes, *notes.shown(), *use.notes, *reports.notes]
    kept_attempt = _kept_attempt(
        attempt,
        ended,
        follows.outcome,
        place=place,
        modified=modified.files,
        location=_location_of_failure(follows.outcome, kept_log),
        notes=tuple(masking.value(remarks)),
        environment_sha256=described.digest,
        undeclared=tuple(masking.value(use.undeclared)),
        files=files,
    )
    collected = AttemptResult(
        task=attempt.task.id,
        status=follows.status,
        attempt=kept_attempt,
        result=masking.value(reports.result),
        metrics=masking.value(reports.metrics),
        outputs=found.outputs,
        discarded=found.discarded,
        environment=described.environment,
    )
    return AttemptFiles(
        attempt=attempt,
        follows=follows,
        collected=collected,
        files={**files, ATTEMPT: _rendered(collected)},
        outputs=found.new,
        tail=kept_log.tail,
        hint=_hint(site, attempt, follows),
    )


def _next(site: Site, attempt: ClaimedAttempt, outcome: Outcome) -> Next:
    return policy.after(
        outcome,
        attempt.task.retries,
        retries=attempt.claim.retries,
        losses=attempt.claim.losses,
        lost_limit=site.settings.lost_limit,
    )


def _after_unkept(attempt: ClaimedAttempt, failure: str) -> Next:
    """Return what follows if results of an attempt that succeeded cannot be kept."""
    message = f"{failure}; the files of the run stay in {attempt.run.path}"
    outcome = ExitCode(exit_code=0, message=message)
    return Next(status=Status.ERROR, outcome=outcome)


def _hint(site: Site, attempt: ClaimedAttempt, follows: Next) -> str | None:
    """Return what to do about a failure whose message says that something is missing."""
    reason = follows.outcome.message
    if follows.status is not Status.ERROR or not reason:
        return None
    from gitorch.storage.missing_files import hint_on_missing  # noqa: PLC0415  only after a failure

    with suppress(GitorchError, OSError):  # it is only a hint
        return hint_on_missing(
            site,
            reason,
            tree=attempt.run.tree,
            link=attempt.payload.spec.link,
            sparse=attempt.payload.spec.sparse,
            interpreter=attempt.payload.interpreter,
        )
    return None


def _location_of_failure(outcome: Outcome, kept_log: KeptLog) -> str | None:
    return None if isinstance(outcome, Succeeded) else kept_log.location


def _files(
    site: Site,
    attempt: ClaimedAttempt,
    kept_log: KeptLog,
    modified: Modified,
    spool: Spool,
    notes: UnkeptNotes,
    masking: Masking,
) -> dict[str, bytes | Stored]:
    """Return the attempt's own files by name, without the description of the attempt."""
    files: dict[str, bytes | Stored] = {LOG: kept_log.content}
    events = attempt.directory.events
    if os.path.lexists(events):
        try:
            files[EVENTS] = _stored_events(site, attempt, spool, masking)
        except (OSError, Unkeepable) as error:
            if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
                raise
            notes.add("the file of its events", error)
    if modified.diff:
        files[CHANGES] = modified.diff
    return files


def _stored_events(
    site: Site, attempt: ClaimedAttempt, spool: Spool, masking: Masking
) -> Stored:
    """Store the events without secrets. Large ones are not held in memory."""
    directory = attempt.directory
    with open_file(directory.events, below=directory.workspace) as live:
        lines = log.line_blocks(blocks(live, _CHUNK))
        return artifacts.store_text(
            site.repository,
            log.masked_blocks(lines, masking),
            large=site.settings.large_file_bytes,
            size=os.fstat(live.fileno()).st_size,
            spool=spool,
        )


def _kept_series(reports: Reports, masking: Masking) -> dict[str, bytes]:
    if not reports.series:
        return {}
    return {SERIES: masking.data(render_series(reports.series))}


def _outcome(
    attempt: ClaimedAttempt, ended: Ended, kept_log: KeptLog, masking: Masking
) -> Outcome:
    """Return the explained outcome without secrets, which a program can have written into it."""
    outcome = explained(attempt, ended.outcome, kept_log.lines)
    message = getattr(outcome, "message", None)
    if message:
        outcome = replace(outcome, message=masking.text(message))
    if ended.log_error:
        outcome = without_log(outcome, ended.log_error)
    return outcome


def _rendered(collected: AttemptResult) -> bytes:
    """Return the description of the attempt, which is kept beside its log."""
    measured = {"result": collected.result, "metrics": collected.metrics}
    return render_json({**collected.attempt.to_json(), **measured})


def _modified(
    site: Site,
    attempt: ClaimedAttempt,
    outcome: Outcome,
    masking: Masking,
    notes: UnkeptNotes,
) -> Modified:
    """Return the attempt's changes of tracked files, without secrets."""
    if isinstance(outcome, CouldNotStart):
        return UNMODIFIED
    try:
        modified = site.worktrees.modified(
            attempt.run.tree,
            attempt.payload.pin.commit,
            but=unchanged_params_file(attempt),
        )
    except (
        GitorchError,
        OSError,
    ) as error:  # the attempt may have removed its worktree
        reason, _, _ = str(error).partition("\n")
        notes.add_text(f"what was changed in the worktree is not known: {reason}")
        return UNMODIFIED
    for name in modified.large:
        notes.add_text(f"{name} was changed, and is too large for a diff")
    return modified._replace(diff=masking.data(modified.diff))
