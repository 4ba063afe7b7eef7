"""`gitorch invalidate`: mark COMPLETE runs as not to be trusted, or take the mark back.

The mark is a label, not a status. A marked run stays COMPLETE, with all that belongs to it. It is
left out of groups and of the cache, and it does not keep `ready` from making the run anew. Every
clone may mark every run, since the marks of two clones can be united.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.changeable import Refusal, split_refused
from gitorch.actions.selection import Selection, select_rows
from gitorch.model.run.labels import Invalidation, Undone
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted
from gitorch.storage.catalog import Catalog
from gitorch.storage.recording import (
    catch_up,
    recording,
    repeated_if_runs_change,
)
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site
from gitorch.tools.clock import now


class Invalidated(Struct, frozen=True, kw_only=True):
    """The runs that were marked, or whose mark was taken back, and the refused runs.

    `reusers` are the runs that have taken results of these runs from the cache.
    """

    runs: tuple[Row, ...]
    invalid: bool
    refused: tuple[tuple[str, str], ...] = ()  # id and reason
    reusers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        status = str(Status.COMPLETE)
        changed = []
        for row in self.runs:
            entry = {"id": row.id, "from": status, "to": status}
            changed.append({**entry, "invalid": self.invalid})
        return {
            "schema": "gitorch/change/v1",
            "changed": changed,
            "refused": [{"id": run_id, "why": why} for run_id, why in self.refused],
            "reusers": list(self.reusers),
        }


def invalidate(site: Site, selection: Selection, why: str) -> Invalidated:
    """Mark the selected runs as not to be trusted.

    Raises NotFound, UsageError, and Refused if one of the runs that were named is not COMPLETE or
    is marked already.
    """
    at = now()
    by = site.repository.signature().name
    mark = Invalidation(at=at, by=by, why=why)

    def marked(record: Record) -> Record:
        invalidations = (*record.invalidations, mark)
        return replace(record, invalidations=invalidations)

    done = _change(site, selection, marked, invalid=True)
    reusers = _reusers(site, [row.id for row in done.runs])
    return replace(done, reusers=reusers)


def validate_again(
    site: Site, selection: Selection, why: str | None = None
) -> Invalidated:
    """Take back all marks of the selected runs.

    Raises NotFound, UsageError, and Refused if one of the runs that were named has no mark.
    """
    undone = Undone(at=now(), by=site.repository.signature().name, why=why)

    def unmarked(record: Record) -> Record:
        invalidations = []
        for invalidation in record.invalidations:
            if invalidation.undone is None:
                invalidation = replace(invalidation, undone=undone)
            invalidations.append(invalidation)
        return replace(record, invalidations=tuple(invalidations))

    return _change(site, selection, unmarked, invalid=False)


@repeated_if_runs_change
def _change(
    site: Site,
    selection: Selection,
    change: Callable[[Record], Record],
    *,
    invalid: bool,
) -> Invalidated:
    """Replace the records of the selected runs by the results of `change`, in one commit."""
    catch_up(site)
    rows = select_rows(Catalog.of(site), selection, "invalidate")
    refusal = _refusal_of_mark if invalid else _refusal_of_undoing
    chosen, refused = split_refused(selection, rows, refusal)
    changed = []
    with recording(site) as changes:
        for row in chosen:
            record = changes.record(row.id)
            if record is not None:
                changes.put(change(record))
                changed.append(row)
        if changed:
            changes.commit(_subject(changed, invalid=invalid))
    return Invalidated(runs=tuple(changed), invalid=invalid, refused=refused)


def _refusal_of_mark(row: Row) -> Refusal | None:
    run = f"{row.label} ({row.id})"
    if row.status is not Status.COMPLETE:
        return Refusal(
            f"{run} is {row.status}, and invalidate is for COMPLETE runs",
            "only results can be marked as not to be trusted",
        )
    if row.invalid is not None:
        return Refusal(
            f"{run} is invalid already: {row.invalid}",
            f"gitorch invalidate {row.id} --undo takes that back",
        )
    return None


def _refusal_of_undoing(row: Row) -> Refusal | None:
    if row.invalid is None:
        return Refusal(f"{row.label} ({row.id}) is not invalid", None)
    return None


def _subject(rows: Sequence[Row], *, invalid: bool) -> str:
    verb = "invalidate" if invalid else "invalidate --undo"
    if len(rows) == 1:
        return f"{rows[0].name} {rows[0].id}: {verb}"
    return f"{counted(len(rows), 'run')}: {verb}"


def _reusers(site: Site, run_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the runs that reuse results of these runs, sorted."""
    catalog = Catalog.of(site)
    candidates: set[str] = set()
    for record in read_sound_records(site, run_ids).values():
        for task in record.tasks:
            if task.cache is not None:
                key = task.cache.key
                candidates.update(run for run, _ in catalog.computed(key))
    invalid = set(run_ids)
    reusers = []
    for run_id, record in read_sound_records(site, sorted(candidates)).items():
        if _reuses(record, invalid):
            reusers.append(run_id)
    return tuple(reusers)


def _reuses(record: Record, run_ids: set[str]) -> bool:
    for task in record.tasks:
        source = None if task.cache is None else task.cache.source
        if source is not None and source.run in run_ids:
            return True
    return False
