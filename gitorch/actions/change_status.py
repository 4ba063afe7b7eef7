"""The operator's verbs hold, release, retry, fail and resubmit: one commit for all runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.changeable import (
    refusal_of_unqueued_run,
    running_task_ids,
    select_changeable,
)
from gitorch.actions.selection import Selection
from gitorch.errors import Refused
from gitorch.model.json_struct import without_empty
from gitorch.model.run.record import Record
from gitorch.model.run.record_changes import CHANGES, ChangeRequest
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.recording import (
    Recording,
    catch_up,
    recording,
    repeated_if_runs_change,
)
from gitorch.storage.run_directories import (
    clear_away,
    has_unkept_files,
    materialise_next,
)
from gitorch.storage.site import Site
from gitorch.tools.clock import now

# The id of a run, its status before the change, and its status after it; None: the run is gone.
ChangedRun = tuple[str, Status, Status | None]


class Changed(Struct, frozen=True, kw_only=True):
    """The runs that a verb changed, and the id and reason of each run that it refused to change."""

    runs: tuple[ChangedRun, ...]
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        changed = [
            {"id": run_id, "from": str(source), "to": target and str(target)}
            for run_id, source, target in self.runs
        ]
        refused = [{"id": run_id, "why": why} for run_id, why in self.refused]
        return {
            "schema": "gitorch/change/v1",
            "changed": changed,
            "refused": refused,
            **without_empty({"notes": list(self.notes)}),
        }


def change_status(
    site: Site, verb: str, selection: Selection, *, why: str | None = None
) -> Changed:
    """Apply `verb`, one of `model.run.record_changes.CHANGES`, to the selected runs.

    Raises NotFound, UsageError, and Refused if one of the runs that were named cannot be changed.
    """
    catch_up(site)
    chosen, refused = select_changeable(site, verb, selection)
    changed = apply_change(site, verb, selection, chosen, CHANGES[verb], why=why)
    return replace(changed, refused=refused + changed.refused)


@repeated_if_runs_change
def apply_change(
    site: Site,
    verb: str,
    selection: Selection,
    rows: Sequence[Row],
    change: Callable[[Record, ChangeRequest], Record],
    *,
    why: str | None,
    files: Mapping[str, Mapping[str, bytes]] | None = None,
) -> Changed:
    """Replace the record of each run by the result of `change`: all in one commit, or none.

    `files` are put beside the records, by run id and name.
    A run that this clone has not queued as its record is now is left unchanged. Raises Refused if
    such a run was named, or if a run no longer has the status that it was chosen for.
    """
    if not rows:
        return Changed(runs=())
    by = site.repository.signature().name
    at = now()
    with recording(site) as changes:
        catalog = Catalog(site)
        changed = []
        moved: list[ChangedRun] = []
        refused = []
        for row in rows:
            current = _current_record(changes, catalog, row)
            unqueued = refusal_of_unqueued_run(site, current)
            if unqueued is not None:
                if selection.is_named:
                    raise Refused(*unqueued)
                refused.append((row.id, unqueued.message))
                continue
            running = running_task_ids(catalog.queued.get(row.id))
            request = ChangeRequest(
                source=row.status, by=by, at=at, why=why, running=running
            )
            record = change(current, request)
            changes.put(record)
            changes.put_files(row.id, (files or {}).get(row.id, {}))
            changed.append(record)
            moved.append((row.id, row.status, record.status))
        if changed:
            changes.commit(_subject(verb, changed))
    _update_directories(site, verb, changed)
    return Changed(runs=tuple(moved), refused=tuple(refused))


def _current_record(changes: Recording, catalog: Catalog, row: Row) -> Record:
    """Return the run's record. Raises Refused if the run no longer has the status of its row."""
    record = changes.record(row.id)
    if record is None:
        raise Refused(f"{row.label} ({row.id}) was removed in the meantime")
    if catalog.current(record).status is not row.status:
        raise Refused(
            f"{row.label} ({row.id}) is no longer {row.status}: another program changed it",
            hint=f"see its status: gitorch show {row.id}",
        )
    return record


def _subject(verb: str, records: Sequence[Record]) -> str:
    """Return the subject of the commit."""
    if len(records) == 1:
        return f"{records[0].name} {records[0].id}: {verb}"
    return f"{len(records)} runs: {verb}"


def _update_directories(site: Site, verb: str, records: Sequence[Record]) -> None:
    """Remove the directories of failed runs, and prepare the worktrees of resubmitted runs.

    Files of a failed run that are not on the results branch stay on disk.
    """
    if verb == "fail":
        for record in records:
            clear_away(site, record.id, keep_files=has_unkept_files(record))
    if verb == "resubmit":
        materialise_next(site)
