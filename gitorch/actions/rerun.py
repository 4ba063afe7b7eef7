"""`gitorch rerun`: repeat runs, with the same pin, config and parameters, as new runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.actions.compare import compare_code
from gitorch.actions.records import find_record, read_records
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import NotFound
from gitorch.git import pins
from gitorch.model.branch_layout import CONFIG, RunPaths
from gitorch.model.json_struct import without_empty
from gitorch.model.run.compare import Comparison, compare_records
from gitorch.model.run.record import Record
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import some
from gitorch.storage.catalog import Catalog
from gitorch.storage.new_record import RunDefinition, new_creations, new_record
from gitorch.storage.recording import catch_up, queue_records
from gitorch.storage.site import Site

_NAMED = 10  # runs in the subject of a commit


class Rerun(Struct, frozen=True, kw_only=True):
    """The new runs, and the runs that could not be repeated."""

    runs: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()  # id and reason

    def to_json(self) -> dict[str, Any]:
        runs = [
            {"id": record.id, "rerun_of": record.rerun_of} for record in self.runs
        ]
        refused = [{"id": run_id, "why": why} for run_id, why in self.refused]
        return {
            "schema": "gitorch/rerun/v1",
            "runs": runs,
            "refused": refused,
            **without_empty({"notes": list(self.notes)}),
        }


def rerun(site: Site, selection: Selection) -> Rerun:
    """Queue the selected runs again. Runs selected by properties are queued oldest first.

    Raises UsageError, and NotFound if a named run, or the commit that it is pinned to, is not in
    this clone.
    """
    catch_up(site)
    catalog = Catalog.of(site)
    rows, refused = _repeatable_rows(site, catalog, selection)
    if not rows:
        return Rerun(runs=(), refused=refused)
    originals = read_records(site, catalog, [row.id for row in rows])
    for commit in {original.pin.commit for original in originals}:
        pins.require(site.repository, commit)
    files = _config_files(site, originals)
    records = []
    creations = new_creations(site, len(originals))
    for original, creation in zip(originals, creations, strict=True):
        definition = RunDefinition.of(original)
        records.append(new_record(definition, creation, rerun_of=original.id))
    queue_records(site, records, files, _subject(records))
    return Rerun(
        runs=tuple(records), notes=_notes(originals, records), refused=refused
    )


def verify(site: Site, rerun_id: str) -> Comparison:
    """Compare a rerun with the run that it repeats. Raises NotFound."""
    record = find_record(site, rerun_id)
    if record.rerun_of is None:
        raise NotFound(f"{rerun_id} is not a rerun")
    records = [find_record(site, record.rerun_of), record]
    return compare_records(records, compare_code(site, records))


def _subject(records: Sequence[Record]) -> str:
    """Return the subject of the commit that records the new runs."""
    names = [
        f"{record.name} {record.id} of {record.rerun_of}" for record in records
    ]
    return f"rerun: {some(names, _NAMED)}"


class _Repeatable(NamedTuple):
    rows: list[Row]
    refused: tuple[tuple[str, str], ...]


def _repeatable_rows(
    site: Site, catalog: Catalog, selection: Selection
) -> _Repeatable:
    """Return the selected runs whose commits are in this clone, and refuse the others.

    Runs that were named are all returned.
    """
    rows = select_rows(catalog, selection, "rerun")
    if selection.is_named:
        return _Repeatable(rows, ())
    commits_here = pins.present_commits(
        site.repository, {row.commit for row in rows}
    )
    repeatable = []
    refused = []
    for row in rows:
        if row.commit in commits_here:
            repeatable.append(row)
        else:
            refused.append((row.id, f"{row.commit} is not in this clone"))
    repeatable.reverse()
    return _Repeatable(repeatable, tuple(refused))


def _config_files(site: Site, records: Sequence[Record]) -> list[dict[str, bytes]]:
    """Return the config of each run and its bases, by their names beside the record."""
    paths = []
    for record in records:
        for name in _config_names(record):
            paths.append(RunPaths.of(record.id).file(name))
    stored = dict(zip(paths, site.results.read_all(paths), strict=True))
    files = []
    for record in records:
        run_paths = RunPaths.of(record.id)
        names = _config_names(record)
        files.append({name: stored[run_paths.file(name)] or b"" for name in names})
    return files


def _config_names(record: Record) -> list[str]:
    return [CONFIG, *record.base_files.values()]


def _notes(
    originals: Sequence[Record], records: Sequence[Record]
) -> tuple[str, ...]:
    """Return a note for each original that ran at several commits: its rerun has only one."""
    notes = []
    for original, record in zip(originals, records, strict=True):
        if original.several_pins:
            commit = record.pin.commit[:12]
            notes.append(
                f"{original.id} ran at several commits ({original.several_pins}): "
                f"{record.id} runs all of it at {commit}"
            )
    return tuple(notes)
