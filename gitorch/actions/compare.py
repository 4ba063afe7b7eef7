"""`gitorch compare`: what differs between runs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitorch.actions.lookup import find_records
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.code import changes_between, diff_text
from gitorch.git.command import call_git
from gitorch.model.compare import ChangedCommit, ChangedFile, CodeDifference, Comparison, compare_records
from gitorch.model.ids import run_path
from gitorch.model.record import Record
from gitorch.worker.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    records: tuple[Record, ...]
    comparison: Comparison


def compare(site: Site, references: Sequence[str]) -> Compared:
    """Two runs or more; the code is compared between the first and the last. Raises NotFound, UsageError."""
    records = find_records(site, references)
    if len(references) < 2:
        raise UsageError("compare takes two runs or more", hint="gitorch compare @~1 @")
    if len(records) == 1:
        records *= 2  # a run compared with itself
    return Compared(records=tuple(records), comparison=compare_records(records, _code(site, records[0], records[-1])))


def code_diff(site: Site, records: Sequence[Record], *, color: bool, stat: bool = False) -> bytes:
    """The difference of the code of the first and the last run, as git shows it. Raises NotFound."""
    for record in (records[0], records[-1]):
        pins.require(site.repository, record.pin.commit)
    return diff_text(site.repository, records[0].pin.commit, records[-1].pin.commit, color=color, stat=stat)


def log_diffs(site: Site, records: Sequence[Record], *, color: bool) -> Iterator[tuple[str, bytes]]:
    """For each task of the first run the difference of the last attempts' logs in the first and the last run."""
    first, last = records[0], records[-1]
    tip = site.results.tip()
    counts = {task.id: task.attempt_count for task in last.tasks}
    for task in first.tasks:
        if task.attempt_count and counts.get(task.id):
            sides = (
                f"{tip}:{run_path(record.id)}/tasks/{task.id}/{count}/log.txt"
                for record, count in ((first, task.attempt_count), (last, counts[task.id]))
            )
            colors = f"--color={'always' if color else 'never'}"
            yield task.id, call_git(site.repository.root, "diff", "--no-ext-diff", colors, *sides)


def _code(site: Site, first: Record, last: Record) -> CodeDifference:
    if first.pin.tree == last.pin.tree:
        return CodeDifference()
    commits = dict.fromkeys((first.pin.commit, last.pin.commit))
    if missing := [commit for commit in commits if not pins.is_here(site.repository, commit)]:
        return CodeDifference(missing=tuple(missing))
    changes = changes_between(site.repository, first.pin.commit, last.pin.commit)
    return CodeDifference(
        commits=tuple(ChangedCommit(oid=commit.oid, subject=commit.subject) for commit in changes.commits),
        files=tuple(
            ChangedFile(path=file.path, status=file.status, added=file.added, deleted=file.deleted)
            for file in changes.files
        ),
    )
