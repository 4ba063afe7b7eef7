"""`gitorch compare`: the differences between runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.records import read_records
from gitorch.actions.repeated import first_run
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.diff import (
    changes_between,
    diff_text,
    snapshot_changes,
)
from gitorch.git.store.objects import has_commit
from gitorch.model.run.compare import (
    ChangedCommit,
    ChangedFile,
    CodeDifference,
    Comparison,
    SnapshotChanges,
    commits_of_tasks,
    compare_records,
)
from gitorch.model.run.record import Record
from gitorch.model.run.used import usage
from gitorch.model.table.references import refers_to_one
from gitorch.model.table.row import Row
from gitorch.model.text.globs import flaw
from gitorch.storage.catalog import Catalog
from gitorch.storage.environments import with_environments
from gitorch.storage.site import Site
from gitorch.storage.used_lists import read_used_lists

# The commit of the first run and that of another run, with the tasks that ran at them.
# The task "" stands for the whole run.
CommitPairs = dict[tuple[str, str], list[str]]


class Compared(Struct, frozen=True, kw_only=True):
    """The compared records and their differences."""

    records: tuple[Record, ...]
    comparison: Comparison


def compare(
    site: Site, selection: Selection, paths: Sequence[str] = ()
) -> Compared:
    """Compare the first of the selected runs with each of the others.

    Runs that are selected by properties are compared oldest first. If there are `paths`, only the
    files that these globs name are compared, of the code and of the outputs.
    Raises NotFound, and UsageError if fewer than two runs are selected.
    """
    for glob in paths:
        if reason := flaw(glob):
            raise UsageError(f"--paths: {glob!r} is not a glob: {reason}")
    catalog = Catalog.of(site)
    rows = _rows_to_compare(catalog, selection)
    records = read_records(site, catalog, [row.id for row in rows])
    records = with_environments(site, records)
    code = compare_code(site, records, paths)
    comparison = compare_records(records, code, paths)
    return Compared(records=tuple(records), comparison=comparison)


def code_diffs(
    site: Site,
    records: Sequence[Record],
    *,
    color: bool,
    stat: bool = False,
    paths: Sequence[str] = (),
) -> Iterator[tuple[str | None, bytes]]:
    """Yield the differences in code between the first run and the others, as git shows them.

    If there are `paths`, only files that these globs name are shown.

    There is one difference for each pair of commits. If there are several pairs, each comes with a
    heading that names the commits and the tasks that ran at them. The uncommitted changes that a
    snapshot took come last.
    Raises NotFound if a commit is not in this clone.
    """
    diff = partial(diff_text, site.repository, color=color, stat=stat, paths=paths)
    pairs = _commit_pairs(records)
    for pair in pairs:
        for commit in pair:
            pins.require(site.repository, commit)
    for (first, other), task_ids in pairs.items():
        heading = None
        if len(pairs) > 1:
            heading = (
                f"{first[:12]} -> {other[:12]}  {', '.join(task_ids)}".rstrip()
            )
        yield heading, diff(first, other)
    for snapshot in _snapshots(site, records):
        first, other = snapshot.parent, snapshot.commit
        if (first, other) not in pairs and (other, first) not in pairs:
            title = "the uncommitted files of the snapshot"
            yield f"{first[:12]} -> {other[:12]}  {title}", diff(first, other)


def compare_code(
    site: Site, records: Sequence[Record], paths: Sequence[str] = ()
) -> CodeDifference:
    """Return the difference between the code of the first run and that of the others.

    If there are `paths`, only files that these globs name are compared.

    The code is compared task by task if a run has several commits.
    """
    pairs = _commit_pairs(records)
    tasks = commits_of_tasks(records)
    snapshots = _snapshots(site, records)
    missing = _missing_commits(site, pairs)
    if missing:
        return CodeDifference(missing=missing, tasks=tasks, snapshots=snapshots)
    changes = [
        changes_between(site.repository, first, other, paths)
        for first, other in pairs
    ]
    commits: dict[ChangedCommit, None] = {}
    for change in changes:
        commits |= dict.fromkeys(change.commits)
    files: dict[str, ChangedFile] = {}
    # Reversed, so that a file that changed in several pairs is shown as in the first of them.
    for change in reversed(changes):
        for file in change.files:
            files[file.path] = file
    return CodeDifference(
        commits=tuple(commits),
        files=_used_first(site, records, files),
        tasks=tasks,
        snapshots=snapshots,
    )


def _snapshots(
    site: Site, records: Sequence[Record]
) -> tuple[SnapshotChanges, ...]:
    """Return the changes of each snapshot that is in this clone."""
    by_commit = {record.pin.commit: record.pin for record in records}
    snapshots = []
    for pin in by_commit.values():
        changes = snapshot_changes(site.repository, pin)
        if changes is not None:
            snapshots.append(changes)
    return tuple(snapshots)


def _used_first(
    site: Site, records: Sequence[Record], files: Mapping[str, ChangedFile]
) -> tuple[ChangedFile, ...]:
    """Return the files with their use, those first that a run used, then those that it may have."""
    if not files:
        return ()
    use = usage(files, read_used_lists(site, records).values())
    order = (True, None, False)
    known = [replace(file, used=use[path]) for path, file in files.items()]
    return tuple(sorted(known, key=lambda file: order.index(file.used)))


def _rows_to_compare(catalog: Catalog, selection: Selection) -> list[Row]:
    """Return two rows or more. Raises NotFound, UsageError."""
    if selection.is_named:
        selection = _with_originals(catalog, selection)
    rows = select_rows(catalog, selection, "compare")
    if selection.is_named and len(rows) == 1 and len(selection.references) > 1:
        return [
            rows[0],
            rows[0],
        ]  # all references mean one run: it is compared with itself
    if len(rows) < 2:
        raise _too_few(rows, selection)
    if not selection.is_named:
        rows.reverse()
    return rows


def _with_originals(catalog: Catalog, selection: Selection) -> Selection:
    """Return the selection with the id of an original in place of some labels and names.

    A label or a name means the newest run that is called so. If another reference means the same
    run, and the run is a rerun, then the label or name means the run that was repeated: after
    `rerun LABEL`, `compare LABEL @` compares the original with its repetition.
    """
    meant = []
    for reference in selection.references:
        meant += [(reference, run_id) for run_id in catalog.find([reference])]
    run_ids = [run_id for _, run_id in meant]
    references = []
    for reference, run_id in meant:
        is_shared = run_ids.count(run_id) > 1
        if is_shared and not refers_to_one(reference, run_id):
            references.append(first_run(catalog, run_id))
        else:
            references.append(run_id)
    if len(set(references)) == 1 and len(set(run_ids)) == 1:
        references = run_ids
    return replace(selection, references=references)


def _too_few(rows: Sequence[Row], selection: Selection) -> UsageError:
    message = "compare needs at least two runs"
    if not selection.is_named:
        verb = "matches" if len(rows) == 1 else "match"
        message += f", and {len(rows)} {verb}"
    return UsageError(message, hint="gitorch compare @~1 @")


def _commit_pairs(records: Sequence[Record]) -> CommitPairs:
    """Return the pairs of commits, with different code, at which the first run and the others ran.

    Runs that have tasks in common are compared task by task, other runs as a whole.
    """
    first, *others = records
    pairs: CommitPairs = {}
    for other in others:
        other_pins = {task.id: task.pin for task in other.tasks}
        compared = []
        for task in first.tasks:
            if task.id in other_pins:
                compared.append((task.id, task.pin, other_pins[task.id]))
        if not compared:
            compared = [("", first.pin, other.pin)]
        for task_id, first_pin, other_pin in compared:
            if first_pin.tree == other_pin.tree:
                continue
            task_ids = pairs.setdefault((first_pin.commit, other_pin.commit), [])
            if task_id not in task_ids:
                task_ids.append(task_id)
    return pairs


def _missing_commits(
    site: Site, pairs: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """Return the commits that are not in this clone, each once."""
    commits: dict[str, None] = {}
    for pair in pairs:
        commits |= dict.fromkeys(pair)
    return tuple(
        commit for commit in commits if not has_commit(site.repository.root, commit)
    )
