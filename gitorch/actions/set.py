"""`gitorch set`: change the priority of runs that are not over."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gitorch.actions.change_status import Changed
from gitorch.actions.changeable import (
    Refusal,
    refusal_of_foreign_run,
    refusal_of_unqueued_run,
    split_refused,
)
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import Refused
from gitorch.model.run.record import Change, Record, noted
from gitorch.model.run.status import LIVE, Status
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.recording import (
    catch_up,
    recording,
    repeated_if_runs_change,
)
from gitorch.storage.site import Site
from gitorch.tools.clock import now


@repeated_if_runs_change
def set_priority(
    site: Site, selection: Selection, priority: int, *, why: str | None = None
) -> Changed:
    """Give the selected runs a priority, which replaces the priorities of their tasks.

    If there is a reason, it is in the history of the runs.

    Raises NotFound, UsageError, and Refused if one of the runs that were named cannot be changed.
    """
    catch_up(site)
    rows = select_rows(Catalog.of(site), selection, "set")
    chosen, refused = split_refused(
        selection, rows, lambda row: _refusal(site, row)
    )
    if not chosen:
        return Changed(runs=(), refused=refused)
    changed = []
    by = site.repository.signature().name
    with recording(site) as changes:
        for row in chosen:
            record = changes.record(row.id)
            if record is None:
                continue
            unqueued = refusal_of_unqueued_run(site, record)
            if unqueued is None:
                record = replace(record, priority=priority)
                if why:
                    record = _with_reason(record, row.status, by, why)
                changes.put(record)
                changed.append(row)
            elif selection.is_named:
                raise Refused(*unqueued)
            else:
                refused += ((row.id, unqueued.message),)
        if changed:
            changes.commit(f"{_in_words(changed)}: priority {priority}")
    runs = tuple((row.id, row.status, row.status) for row in changed)
    return Changed(runs=runs, refused=refused)


def _refusal(site: Site, row: Row) -> Refusal | None:
    foreign = refusal_of_foreign_run(site, "set", row)
    if foreign:
        return foreign
    if row.status not in LIVE:
        return Refusal(
            f"{row.label} ({row.id}) is {row.status}: its priority no longer has an effect",
            f"set is for runs that are {', '.join(sorted(LIVE))}",
        )
    return None


def _with_reason(record: Record, status: Status, by: str, why: str) -> Record:
    reason = f"priority {record.priority}; {why}"
    change = Change(at=now(), source=status, target=status, by=by, why=reason)
    return noted(record, change)


def _in_words(rows: Sequence[Row]) -> str:
    return rows[0].id if len(rows) == 1 else f"{len(rows)} runs"
