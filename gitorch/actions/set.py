"""`gitorch set`: what may be changed of a run that is not over."""

from __future__ import annotations

from msgspec.structs import replace

from gitorch.actions.change_status import Changed, Refusal, require_own, split_refused
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import Refused
from gitorch.model.run.status import LIVE
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.recording import catch_up, recording
from gitorch.runs.site import Site


def set_priority(site: Site, selection: Selection, priority: int) -> Changed:
    """Begin the runs selected earlier or later. Raises NotFound, UsageError; Refused for all named if one may not."""
    catch_up(site)
    rows = select_rows(Catalog.of(site), selection, "set")
    chosen, refused = split_refused(selection, rows, lambda row: _refusal(site, row))
    if not chosen:
        return Changed(runs=(), refused=refused)
    with recording(site) as changes:
        for row in chosen:
            if record := changes.record(row.id):
                changes.put(replace(record, priority=priority))
        names = chosen[0].id if len(chosen) == 1 else f"{len(chosen)} runs"
        changes.commit(f"{names}: priority {priority}")
    return Changed(runs=tuple((row.id, row.status, row.status) for row in chosen), refused=refused)


def _refusal(site: Site, row: Row) -> Refusal | None:
    try:
        require_own(site, "set", row)
    except Refused as error:
        return error.message, error.hint
    if row.status not in LIVE:
        return (
            f"{row.label} ({row.id}) is {row.status}: its priority has no meaning any more",
            f"possible are: {', '.join(sorted(LIVE))}",
        )
    return None
