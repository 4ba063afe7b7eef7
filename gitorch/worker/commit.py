"""From ended attempts to the results branch and then the queue: results first, queue second.

Every step is safe to repeat. A crash between the two leaves a queue that was not told; the next start notices, since
the queue keeps which commit it was told of last (see `recover.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from gitorch.git import artifacts
from gitorch.git.artifacts import Stored
from gitorch.git.repack import maybe_repack
from gitorch.git.results import Change
from gitorch.model.announce import AttemptEnded
from gitorch.model.ids import run_path
from gitorch.model.record import Record, after_attempt
from gitorch.model.status import Status
from gitorch.queue.queue import AttemptEnd
from gitorch.tools.clock import stamp
from gitorch.worker.collect import Gathered
from gitorch.worker.site import Site

_RULES = ".gitattributes"


def commit(site: Site, batch: Sequence[Gathered], *, by: str) -> list[AttemptEnded]:
    """Commit these attempts together, then tell the queue; gives what is to be announced.

    An attempt that is no longer its task's current one, or whose run is gone, leaves no trace.
    """
    current = []
    for gathered in batch:
        claim = gathered.attempt.claim
        if site.queue.is_current(claim.run, claim.task, claim.token):
            current.append(gathered)
        else:
            site.queue.end_doomed(claim.run, claim.task, claim.token)
    if not current:
        return []
    with site.results.changing() as change:
        recorded = [(gathered, record) for gathered in current if (record := _put(change, gathered, by=by))]
        if not recorded:
            return []
        before = change.tip
        after = change.commit(_subject(recorded), trailers(record for _, record in recorded))
    ends = [_end(gathered, record) for gathered, record in recorded]
    accepted = {end.token for end in site.queue.finish(ends, tip=(before, after))}
    maybe_repack(site.repository)
    return [
        _announcement(gathered, record) for gathered, record in recorded if gathered.attempt.claim.token in accepted
    ]


def read_record(change: Change, run: str) -> Record | None:
    """The record as it is on the branch now, under the lock."""
    found = change.record(run)
    return Record.from_json(found) if found else None


def trailers(records: Iterable[Record], status: str | None = None) -> list[tuple[str, str]]:
    """The trailers of a commit that changes these records; `status` in place of theirs."""
    return [
        trailer
        for record in records
        for trailer in (
            ("Gitorch-Run", record.id),
            ("Gitorch-Status", status or str(record.status)),
            ("Gitorch-Commit", record.pin.commit),
        )
    ]


def _put(change: Change, gathered: Gathered, *, by: str) -> Record | None:
    """Put all that the attempt left; gives the run's new record, None if the run is gone."""
    before = read_record(change, gathered.attempt.claim.run)
    if before is None:
        return None
    record = after_attempt(before, gathered.collected, by=by)
    base = run_path(record.id)
    attempt = f"tasks/{gathered.collected.task}/{gathered.collected.attempt.number}"
    for name, content in gathered.files.items():
        change.put(f"{base}/{attempt}/{name}", content)
    _put_rules(change, f"{base}/{attempt}", _large(gathered.files))
    for path in {output.path for output in before.outputs} - {output.path for output in record.outputs}:
        change.remove(f"{base}/{_output(path)}")
    for path, stored in gathered.outputs.items():
        change.put(f"{base}/{_output(path)}", stored, mode=stored.mode)
    _put_rules(change, base, [_output(output.path) for output in record.outputs if output.stored == "lfs"])
    change.put_record(record.to_json())
    return record


def _output(path: str) -> str:
    return f"outputs/{artifacts.stored_name(path)}"


def _large(files: Mapping[str, bytes | Stored]) -> list[str]:
    return [name for name, content in files.items() if isinstance(content, Stored) and content.kind == "lfs"]


def _put_rules(change: Change, directory: str, large: Sequence[str]) -> None:
    """The LFS rule for exactly these paths: a wider one would make small files show as modified."""
    path = f"{directory}/{_RULES}"
    if large:
        change.put(path, artifacts.gitattributes_for(large))
    else:
        change.remove(path)


def _end(gathered: Gathered, record: Record) -> AttemptEnd:
    """What the queue is to be told, by the record: after a crash it may know more than the attempt's own files."""
    claim = gathered.attempt.claim
    task = record.task(claim.task)
    last = task.attempts[-1]
    follows = gathered.follows
    ended = datetime.now(UTC)
    return AttemptEnd(
        run=claim.run,
        task=claim.task,
        token=claim.token,
        status=task.status,
        outcome=last.outcome,
        retries=follows.retries,
        losses=follows.losses,
        not_before=stamp(ended + timedelta(seconds=follows.backoff_s)) if follows.backoff_s else None,
        ended=stamp(ended),
    )


def _subject(recorded: Sequence[tuple[Gathered, Record]]) -> str:
    if len(recorded) == 1:
        [(gathered, record)] = recorded
        return f"{record.name} {record.id}: {_in_words(gathered, record)}"
    return f"{len(recorded)} attempts: " + ", ".join(
        f"{record.name} {record.id} {_in_words(gathered, record)}" for gathered, record in recorded
    )


def _in_words(gathered: Gathered, record: Record) -> str:
    task = record.task(gathered.collected.task)
    attempt = task.attempts[-1]
    verb = str(task.status) if task.status is not Status.WAITING else str(attempt.outcome.kind)
    return f"{task.id} {verb} {'in' if task.status is Status.COMPLETE else 'after'} {attempt.duration_s:.1f}s"


def _announcement(gathered: Gathered, record: Record) -> AttemptEnded:
    task = record.task(gathered.collected.task)
    attempt = task.attempts[-1]
    return AttemptEnded(
        run=record.id,
        label=record.label,
        task=task.id,
        number=attempt.number,
        status=task.status,
        run_status=record.status,
        outcome=attempt.outcome,
        duration_s=attempt.duration_s,
        tail=gathered.tail if task.status is Status.ERROR else (),
        location=gathered.location if task.status is Status.ERROR else None,
        has_unkept_files=bool(attempt.notes),
    )
