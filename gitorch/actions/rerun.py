"""`gitorch rerun`: the same pin, config and parameters, as a new run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from gitorch.actions.compare import compare_code
from gitorch.actions.ready import new_record
from gitorch.actions.records import find_record, read_records
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import NotFound
from gitorch.git import pins
from gitorch.model.branch_layout import CONFIG, RunPaths
from gitorch.model.json_struct import without_empty
from gitorch.model.run.compare import Comparison, compare_records
from gitorch.model.run.ids import run_id
from gitorch.model.run.record import Record
from gitorch.model.text.phrases import some
from gitorch.runs.catalog import Catalog
from gitorch.runs.recording import catch_up, queue_records
from gitorch.runs.site import Site

_NAMED = 10  # in the subject of a commit


class Rerun(Struct, frozen=True, kw_only=True):
    """The new runs, and the runs that there could be none of, with why."""

    runs: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/rerun/v1",
            "runs": [{"id": record.id, "rerun_of": record.rerun_of} for record in self.runs],
            "refused": [{"id": run, "why": why} for run, why in self.refused],
            **without_empty({"notes": list(self.notes)}),
        }


def rerun(site: Site, selection: Selection) -> Rerun:
    """Queue the runs selected once more, the oldest first of those that are not named.

    Raises NotFound where a run that was named, or the commit it was pinned to, is not in this clone; UsageError.
    """
    catch_up(site)
    catalog = Catalog.of(site)
    rows = select_rows(catalog, selection, "rerun")
    refused: tuple[tuple[str, str], ...] = ()
    if not selection.is_named:
        here = pins.which_are_here(site.repository, {row.commit for row in rows})
        refused = tuple(
            (row.id, f"{row.commit} is not in this clone") for row in rows if row.commit not in here
        )
        rows = [row for row in reversed(rows) if row.commit in here]
    if not rows:
        return Rerun(runs=(), refused=refused)
    originals = read_records(site, catalog, [row.id for row in rows])
    for commit in {original.pin.commit for original in originals}:
        pins.require(site.repository, commit)
    files = _kept_files(site, originals)
    start = datetime.now(UTC)
    by = site.repository.signature().name
    records = [
        new_record(
            original.spec,
            id=run_id(os.urandom(6)),
            clone=site.repository.clone_id(),
            source=original.source,
            pin=original.pin,
            identity=original.identity,
            interpreter=original.interpreter,
            created=start + timedelta(microseconds=number),
            by=by,
            rerun_of=original.id,
            overrides=original.overrides,
            bases=original.bases,
            data=original.data,
        )
        for number, original in enumerate(originals)
    ]
    names = [f"{record.name} {record.id} of {record.rerun_of}" for record in records]
    queue_records(site, records, files, f"rerun: {some(names, _NAMED)}")
    notes = [
        f"{original.id} ran at several commits ({told}): {record.id} runs all of it at {record.pin.commit[:12]}"
        for original, record in zip(originals, records, strict=True)
        if (told := original.several_pins)
    ]
    return Rerun(runs=tuple(records), notes=tuple(notes), refused=refused)


def _kept_files(site: Site, records: Sequence[Record]) -> list[dict[str, bytes]]:
    """The config of each run and what it extends, as they lie beside its record."""
    names = [(CONFIG, *record.base_files.values()) for record in records]
    paths = [
        RunPaths.of(record.id).file(name)
        for record, of in zip(records, names, strict=True)
        for name in of
    ]
    found = iter(site.results.read_all(paths))
    return [{name: next(found) or b"" for name in of} for of in names]


def verify(site: Site, rerun_id: str) -> Comparison:
    """What came out otherwise than in the run that `rerun_id` repeats."""
    again = find_record(site, rerun_id)
    if again.rerun_of is None:
        raise NotFound(f"{rerun_id} repeats no other run")
    original = find_record(site, again.rerun_of)
    return compare_records([original, again], compare_code(site, [original, again]))
