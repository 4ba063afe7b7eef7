"""The commit of ended attempts and reused results to the results branch and the queue.

Every step is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from gitorch.database.values import AttemptEnd
from gitorch.git.store.artifacts import Stored
from gitorch.git.store.branch_edit import BranchEdit
from gitorch.git.store.pointers import gitattributes_for
from gitorch.git.store.repack import maybe_repack
from gitorch.git.store.trees import TreeEntry
from gitorch.model.branch_layout import RunPaths, output_name
from gitorch.model.run.announcement import AttemptEnded, Committal, TaskReused
from gitorch.model.run.outcome import Succeeded
from gitorch.model.run.record import Record, RecordBroken, TaskRecord
from gitorch.model.run.record_changes import (
    Standing,
    after_attempt,
    after_reuse,
    standing,
)
from gitorch.model.run.status import Status
from gitorch.storage import output_restore
from gitorch.storage.recording import Recording, recording, repeated_if_runs_change
from gitorch.storage.reuse import Reused, entry_of
from gitorch.storage.site import Site
from gitorch.tools.clock import stamp
from gitorch.worker.gather import AttemptFiles
from gitorch.worker.refusal import refuse

Ending = AttemptFiles | Reused


def commit(site: Site, batch: Sequence[Ending], *, by: str) -> list[Committal]:
    """Commit these attempts and reused results together, then end them in the queue.

    Return the announcements. The end of an attempt is accepted if both the queue and the record
    know the attempt as the current one of its task. An end that is not accepted is announced too.
    """
    current = []
    rejected = []
    for ending in batch:
        claim = ending.attempt.claim
        if site.queue.is_current(claim.run, claim.task, claim.token):
            current.append(ending)
        else:
            site.queue.end_killed_task(claim.run, claim.task, claim.token)
            rejected.append(ending)
    recorded, superseded = _record(site, current, by=by)
    _end_reused(site, recorded)
    committals: list[Committal] = [
        _announcement(ending, record) for ending, record in recorded
    ]
    for ending in rejected + superseded:
        refused = (
            None if isinstance(ending, Reused) else refuse(site, ending.attempt)
        )
        if refused is not None:
            committals.append(refused)
    if recorded:
        maybe_repack(site.repository)
    return committals


@repeated_if_runs_change
def _record(
    site: Site, batch: Sequence[Ending], *, by: str
) -> tuple[list[tuple[Ending, Record]], list[Ending]]:
    """Commit those ends that their records accept, and end these attempts in the queue.

    Return them with the new records, and the ends that are not accepted.
    """
    recorded: list[tuple[Ending, Record]] = []
    rejected: list[Ending] = []
    if not batch:
        return recorded, rejected
    with recording(site) as changes:
        for ending in batch:
            record = _put(site, changes, ending, by=by)
            if record is None:
                rejected.append(ending)
            else:
                recorded.append((ending, record))
        if recorded:
            ends = []
            for ending, record in recorded:
                if not isinstance(ending, Reused):
                    ends.append(_end(ending, record))
            for end in changes.commit_ends(_subject(recorded), ends):
                site.queue.end_killed_task(end.run, end.task, end.token)
    return recorded, rejected


def _end_reused(site: Site, recorded: Sequence[tuple[Ending, Record]]) -> None:
    """Copy the files of reused results to their runs' output directories, then end the attempts.

    The next task of a run reads the files there. Copying large files takes long, so it is not done
    under the lock of the results branch. Until then the tasks are running in the queue. If the
    worker dies, `recover` finds the reuse in the record.
    """
    ends = []
    for ending, record in recorded:
        if isinstance(ending, Reused):
            output_restore.put_reused(
                site, ending.attempt.run, record, ending.attempt.task.id
            )
            ends.append(_end(ending, record))
    if ends:
        site.queue.finish(ends)


def _put(
    site: Site, changes: Recording, ending: Ending, *, by: str
) -> Record | None:
    """Put the results of a task into the commit.

    Return the run's new record. Return None if the run is gone, its record cannot be read, or the
    record does not accept the attempt.
    """
    claim = ending.attempt.claim
    try:
        before = changes.record(claim.run)
    except RecordBroken:
        return None  # the record is not replaced, because it may be repaired
    if before is None:
        return None
    branch = changes.branch
    if not isinstance(ending, Reused):
        attempt_standing = standing(before, claim.task, claim.number, claim.token)
        if attempt_standing is Standing.SUPERSEDED:
            return None
        if attempt_standing is Standing.RECORDED:
            changes.follow(claim.run, before)
            return before
    if isinstance(ending, Reused):
        record = before
        if ending.reuse is not None:
            record = after_reuse(before, ending.reuse, by=by)
        _put_outputs(branch, before, record, ending.files)
    else:
        entry = entry_of(site, before, ending.attempt, ending.collected)
        record = after_attempt(
            before, replace(ending.collected, cache=entry), by=by
        )
        paths = RunPaths.of(record.id).attempt(
            ending.collected.task, ending.collected.attempt.number
        )
        for name, content in ending.files.items():
            branch.put(paths.file(name), content)
        _put_rules(branch, paths.attributes, _large(ending.files))
        _put_outputs(branch, before, record, ending.outputs)
        changes.put_environment(ending.collected.environment)
    changes.put(record)
    return record


def _put_outputs(
    branch: BranchEdit,
    before: Record,
    record: Record,
    new: Mapping[str, Stored | TreeEntry],
) -> None:
    """Put the run's `new` outputs, and remove those that its record does not have any more."""
    paths = RunPaths.of(record.id)
    kept = {output.path for output in record.outputs}
    for output in before.outputs:
        if output.path not in kept:
            branch.remove(paths.output(output.path))
    for path, content in new.items():
        branch.put(paths.output(path), content)
    large = [
        output_name(output.path)
        for output in record.outputs
        if output.stored == "lfs"
    ]
    _put_rules(branch, paths.attributes, large)


def _large(files: Mapping[str, bytes | Stored]) -> list[str]:
    """Return the names of the files that git-lfs is to handle."""
    names = []
    for name, content in files.items():
        if isinstance(content, Stored) and content.kind == "lfs":
            names.append(name)
    return names


def _put_rules(branch: BranchEdit, path: str, large: Sequence[str]) -> None:
    """Put a .gitattributes with an LFS rule for each of these paths.

    A rule with a wildcard would make small files show as modified.
    """
    if large:
        branch.put(path, gitattributes_for(large))
    else:
        branch.remove(path)


def _end(ending: Ending, record: Record) -> AttemptEnd:
    """Return the end of an attempt for the queue.

    It is taken from the record, which after a crash may have more than the attempt's own files.
    """
    claim = ending.attempt.claim
    task = record.task(claim.task)
    if isinstance(ending, Reused):
        return AttemptEnd(
            run=claim.run,
            task=claim.task,
            token=claim.token,
            status=task.status,
            outcome=Succeeded(),
        )
    last = task.attempts[-1]
    follows = ending.follows
    ended = datetime.now(UTC)
    not_before = None
    if follows.backoff_s:
        not_before = stamp(ended + timedelta(seconds=follows.backoff_s))
    return AttemptEnd(
        run=claim.run,
        task=claim.task,
        token=claim.token,
        status=task.status,
        outcome=last.outcome,
        retries=follows.retries,
        losses=follows.losses,
        not_before=not_before,
        ended=stamp(ended),
    )


def _subject(recorded: Sequence[tuple[Ending, Record]]) -> str:
    """Return the subject of the commit."""
    if len(recorded) == 1:
        [(ending, record)] = recorded
        return f"{record.name} {record.id}: {_in_words(ending, record)}"
    parts = [
        f"{record.name} {record.id} {_in_words(ending, record)}"
        for ending, record in recorded
    ]
    return f"{len(recorded)} attempts: {', '.join(parts)}"


def _in_words(ending: Ending, record: Record) -> str:
    task = record.task(ending.attempt.claim.task)
    if isinstance(ending, Reused):
        return f"{task.id} {task.status} from run {_source(task)}"
    attempt = task.attempts[-1]
    took = f"{attempt.duration_s:.1f}s"
    if task.status is Status.COMPLETE:
        return f"{task.id} {task.status} in {took}"
    if task.status is Status.WAITING:  # to be tried again
        return f"{task.id} {attempt.outcome.kind} after {took}"
    return f"{task.id} {task.status} after {took}"


def _source(task: TaskRecord) -> str:
    """Return the id of the run whose results the task reuses."""
    if task.cache is None or task.cache.source is None:
        return ""
    return task.cache.source.run


def _announcement(ending: Ending, record: Record) -> AttemptEnded | TaskReused:
    task = record.task(ending.attempt.claim.task)
    if isinstance(ending, Reused):
        return TaskReused(
            run_id=record.id,
            label=record.label,
            task=task.id,
            source=_source(task),
            run_status=record.status,
        )
    tail: tuple[str, ...] = ()
    hint = None
    if task.status is Status.ERROR:
        tail = ending.tail
        hint = ending.hint
    return AttemptEnded(
        run_id=record.id,
        label=record.label,
        task=task.id,
        attempt=task.attempts[-1],
        status=task.status,
        run_status=record.status,
        tail=tail,
        hint=hint,
    )
