"""`gitorch compare`: what differs between runs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from gitorch.actions.logs import last_log
from gitorch.actions.records import read_records
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.command import call_git
from gitorch.git.diff import changes_between, diff_text
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.compare import (
    ChangedCommit,
    ChangedFile,
    CodeDifference,
    Comparison,
    commits_of_tasks,
    compare_records,
)
from gitorch.model.run.record import Record
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site


class Compared(Struct, frozen=True, kw_only=True):
    records: tuple[Record, ...]
    comparison: Comparison


def compare(site: Site, selection: Selection) -> Compared:
    """Two runs or more, those not named oldest first; what is compared with the others is the first.

    Raises NotFound, UsageError.
    """
    catalog = Catalog.of(site)
    rows = select_rows(catalog, selection, "compare")
    if selection.is_named and len(rows) == 1 < len(selection.references):
        rows *= 2  # a run compared with itself
    if len(rows) < 2:
        found = (
            "" if selection.is_named else f", and {len(rows)} match{'es' if len(rows) == 1 else ''}"
        )
        raise UsageError(f"compare takes two runs or more{found}", hint="gitorch compare @~1 @")
    records = read_records(
        site, catalog, [row.id for row in (rows if selection.is_named else reversed(rows))]
    )
    return Compared(
        records=tuple(records), comparison=compare_records(records, compare_code(site, records))
    )


def code_diffs(
    site: Site, records: Sequence[Record], *, color: bool, stat: bool = False
) -> Iterator[tuple[str | None, bytes]]:
    """The difference of the code of the first run and of each other, as git shows it: one for each pair of commits,
    with the tasks that it is of where there are several. Raises NotFound.
    """
    pairs = _pairs(records)
    for pair in pairs:
        for commit in pair:
            pins.require(site.repository, commit)
    for (first, last), tasks in pairs.items():
        told = (
            f"{first[:12]} -> {last[:12]}  {', '.join(tasks)}".rstrip() if len(pairs) > 1 else None
        )
        yield told, diff_text(site.repository, first, last, color=color, stat=stat)


def log_diffs(site: Site, records: Sequence[Record], *, color: bool) -> Iterator[tuple[str, bytes]]:
    """For each task of the first run the difference of the last attempts' logs in the first and the last run."""
    first, last = records[0], records[-1]
    tip = site.results.tip()
    for task in first.tasks:
        known = [
            record for record in (first, last) if any(other.id == task.id for other in record.tasks)
        ]
        places = [place for record in known if (place := last_log(site, record, task.id))]
        if len(places) == 2:
            sides = (
                f"{tip}:{RunPaths.of(run).attempt(name, number).log}"
                for run, name, number in places
            )
            colors = f"--color={'always' if color else 'never'}"
            yield task.id, call_git(site.repository.root, "diff", "--no-ext-diff", colors, *sides)


def compare_code(site: Site, records: Sequence[Record]) -> CodeDifference:
    """What lies between the code of the first run and of the others, task by task where one has several commits."""
    pairs = _pairs(records)
    tasks = commits_of_tasks(records)
    commits = dict.fromkeys(commit for pair in pairs for commit in pair)
    if missing := [commit for commit in commits if not pins.is_here(site.repository, commit)]:
        return CodeDifference(missing=tuple(missing), tasks=tasks)
    changes = [changes_between(site.repository, first, last) for first, last in pairs]
    files = {file.path: file for change in reversed(changes) for file in change.files}
    return CodeDifference(
        commits=tuple(
            ChangedCommit(oid=commit.oid, subject=commit.subject)
            for commit in dict.fromkeys(commit for change in changes for commit in change.commits)
        ),
        files=tuple(
            ChangedFile(path=file.path, status=file.status, added=file.added, deleted=file.deleted)
            for file in files.values()
        ),
        tasks=tasks,
    )


def _pairs(records: Sequence[Record]) -> dict[tuple[str, str], dict[str, None]]:
    """The commits of the first run and of another between which their code differs, with the tasks that are at them."""
    first, *others = records
    pairs: dict[tuple[str, str], dict[str, None]] = {}
    for other in others:
        pins_of = {task.id: task.pin for task in other.tasks}
        shared = [
            (task.id, task.pin, pins_of[task.id]) for task in first.tasks if task.id in pins_of
        ]
        for task_id, a, b in shared or [("", first.pin, other.pin)]:
            if a.tree != b.tree:
                pairs.setdefault((a.commit, b.commit), {})[task_id] = None
    return pairs
