"""From ended attempts and reused results to the results branch and the queue. Safe to repeat."""

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
from gitorch.model.run.announcement import AttemptEnded, TaskReused
from gitorch.model.run.outcome import Succeeded
from gitorch.model.run.record import Record, TaskRecord
from gitorch.model.run.record_changes import after_attempt, after_reuse
from gitorch.model.run.status import Status
from gitorch.runs import output_restore
from gitorch.runs.recording import Recording, recording
from gitorch.runs.reuse import Reused, entry_of
from gitorch.runs.site import Site
from gitorch.tools.clock import stamp
from gitorch.worker.gather import AttemptFiles


def commit(
    site: Site, batch: Sequence[AttemptFiles | Reused], *, by: str
) -> list[AttemptEnded | TaskReused]:
    """Commit these attempts and reused results together, then tell the queue; gives what is to be announced.

    An attempt that is no longer its task's current one, or whose run is gone, leaves no trace.
    """
    current = []
    for ending in batch:
        claim = ending.attempt.claim
        if site.queue.is_current(claim.run, claim.task, claim.token):
            current.append(ending)
        else:
            site.queue.end_killed_task(claim.run, claim.task, claim.token)
    if not current:
        return []
    recorded = []
    with recording(site) as changes:
        for ending in current:
            record = _put(site, changes, ending, by=by)
            if record is not None:
                recorded.append((ending, record))
        if not recorded:
            return []
        ends = [_end(*each) for each in recorded if not isinstance(each[0], Reused)]
        ended = changes.commit_ends(_subject(recorded), ends)
    ended += _end_reused(site, recorded)
    accepted = {end.token for end in ended}
    maybe_repack(site.repository)
    return [
        _announcement(ending, record)
        for ending, record in recorded
        if ending.attempt.claim.token in accepted
    ]


def _end_reused(
    site: Site, recorded: Sequence[tuple[AttemptFiles | Reused, Record]]
) -> list[AttemptEnd]:
    """Put the files of reused results where the run's next task will look for them, then end the attempts.

    That can take as long as large files take to copy, so it is not done under the lock of the results branch. Until
    then the queue has these tasks as running. If the worker dies, `recover` finds the reuse in the record.
    """
    ends = []
    for ending, record in recorded:
        if isinstance(ending, Reused):
            output_restore.put_reused(site, ending.attempt.run, record, ending.attempt.task.id)
            ends.append(_end(ending, record))
    return site.queue.finish(ends) if ends else []


def _put(
    site: Site, changes: Recording, ending: AttemptFiles | Reused, *, by: str
) -> Record | None:
    """Put all that the task has now; gives the run's new record, None if the run is gone."""
    before = changes.record(ending.attempt.claim.run)
    if before is None:
        return None
    change = changes.branch
    if isinstance(ending, Reused):
        record = after_reuse(before, ending.reuse, by=by) if ending.reuse else before
        _put_outputs(change, before, record, ending.files)
    else:
        entry = entry_of(site, before, ending.attempt, ending.collected)
        record = after_attempt(before, replace(ending.collected, cache=entry), by=by)
        paths = RunPaths.of(record.id).attempt(
            ending.collected.task, ending.collected.attempt.number
        )
        for name, content in ending.files.items():
            change.put(paths.file(name), content)
        _put_rules(change, paths.attributes, _large(ending.files))
        _put_outputs(change, before, record, ending.outputs)
    changes.put(record)
    return record


def _put_outputs(
    change: BranchEdit, before: Record, record: Record, new: Mapping[str, Stored | TreeEntry]
) -> None:
    paths = RunPaths.of(record.id)
    kept = {output.path for output in record.outputs}
    for output in before.outputs:
        if output.path not in kept:
            change.remove(paths.output(output.path))
    for path, content in new.items():
        change.put(paths.output(path), content)
    large = [output_name(output.path) for output in record.outputs if output.stored == "lfs"]
    _put_rules(change, paths.attributes, large)


def _large(files: Mapping[str, bytes | Stored]) -> list[str]:
    return [
        name
        for name, content in files.items()
        if isinstance(content, Stored) and content.kind == "lfs"
    ]


def _put_rules(change: BranchEdit, path: str, large: Sequence[str]) -> None:
    """The LFS rule for exactly these paths: a wider one would make small files show as modified."""
    if large:
        change.put(path, gitattributes_for(large))
    else:
        change.remove(path)


def _end(ending: AttemptFiles | Reused, record: Record) -> AttemptEnd:
    """What the queue is to be told, by the record: after a crash it may know more than the attempt's own files."""
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
    return AttemptEnd(
        run=claim.run,
        task=claim.task,
        token=claim.token,
        status=task.status,
        outcome=last.outcome,
        retries=follows.retries,
        losses=follows.losses,
        not_before=stamp(ended + timedelta(seconds=follows.backoff_s))
        if follows.backoff_s
        else None,
        ended=stamp(ended),
    )


def _subject(recorded: Sequence[tuple[AttemptFiles | Reused, Record]]) -> str:
    if len(recorded) == 1:
        [(ending, record)] = recorded
        return f"{record.name} {record.id}: {_in_words(ending, record)}"
    return f"{len(recorded)} attempts: " + ", ".join(
        f"{record.name} {record.id} {_in_words(ending, record)}" for ending, record in recorded
    )


def _in_words(ending: AttemptFiles | Reused, record: Record) -> str:
    task = record.task(ending.attempt.claim.task)
    if isinstance(ending, Reused):
        return f"{task.id} {task.status} from run {_source(task)}"
    attempt = task.attempts[-1]
    verb = str(task.status) if task.status is not Status.WAITING else str(attempt.outcome.kind)
    return f"{task.id} {verb} {'in' if task.status is Status.COMPLETE else 'after'} {attempt.duration_s:.1f}s"


def _source(task: TaskRecord) -> str:
    return task.cache.source.run if task.cache and task.cache.source else ""


def _announcement(ending: AttemptFiles | Reused, record: Record) -> AttemptEnded | TaskReused:
    task = record.task(ending.attempt.claim.task)
    if isinstance(ending, Reused):
        return TaskReused(
            run_id=record.id,
            label=record.label,
            task=task.id,
            source=_source(task),
            run_status=record.status,
        )
    return AttemptEnded(
        run_id=record.id,
        label=record.label,
        task=task.id,
        attempt=task.attempts[-1],
        status=task.status,
        run_status=record.status,
        tail=ending.tail if task.status is Status.ERROR else (),
        location=ending.location if task.status is Status.ERROR else None,
    )
