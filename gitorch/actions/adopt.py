"""`gitorch adopt`: take over runs of a clone that is gone, or runs that came from elsewhere.

An adopted run is a run of this clone: it is queued as its record says, and this clone executes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gitorch.actions.change_status import Changed, ChangedRun
from gitorch.actions.changeable import Refusal, split_refused
from gitorch.actions.records import read_records
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import Refused
from gitorch.git import pins
from gitorch.model.run.record import Change, Record, noted
from gitorch.model.run.status import LIVE, Status, run_status, states
from gitorch.model.table.row import Row
from gitorch.storage import ledger
from gitorch.storage.catalog import Catalog
from gitorch.storage.recording import catch_up, recording
from gitorch.storage.run_directories import materialise_next
from gitorch.storage.site import Site
from gitorch.tools.clock import now


def adopt(site: Site, selection: Selection, *, why: str | None = None) -> Changed:
    """Make the selected runs runs of this clone.

    Raises NotFound, UsageError, and Refused if one of the runs that were named cannot be adopted.
    """
    catch_up(site)
    catalog = Catalog.of(site)
    rows = select_rows(catalog, selection, "adopt")
    records = {}
    for record in read_records(site, catalog, [row.id for row in rows]):
        records[record.id] = record
    own = ledger.queued_here(site, records.values())
    commits = {record.pin.commit for record in records.values()}
    present = pins.present_commits(site.repository, commits)

    def refusal_of(row: Row) -> Refusal | None:
        return _refusal(site, records[row.id], own, present)

    chosen, refused = split_refused(selection, rows, refusal_of)
    if not chosen:
        return Changed(runs=(), refused=refused)
    for commit in {records[row.id].pin.commit for row in chosen}:
        pins.keep(site.repository, commit)
    by = site.repository.signature().name
    clone = site.repository.clone_id()
    runs: list[ChangedRun] = []
    adopted = []
    with recording(site) as changes:
        for row in chosen:
            current = changes.record(row.id)
            if current is None or current.pin != records[row.id].pin:
                raise Refused(f"{row.label} ({row.id}) was changed in the meantime")
            changed = _adopted(current, clone, by, why)
            changes.put(changed)
            adopted.append(changed)
            runs.append((row.id, row.status, changed.status))
        ledger.note_queued(
            site, adopted
        )  # also those that are FAILED: see `resubmit`
        changes.commit(_subject(adopted))
    materialise_next(site)
    return Changed(runs=tuple(runs), refused=refused, notes=_notes(adopted))


def _refusal(
    site: Site, record: Record, own: set[str], present: set[str]
) -> Refusal | None:
    run = f"{record.label} ({record.id})"
    if record.status is Status.COMPLETE:
        return Refusal(
            f"{run} is COMPLETE: nothing is left to run",
            f"gitorch rerun {record.id} repeats it as a run of this clone",
        )
    if record.id in own:
        return Refusal(
            f"{run} is a run of this clone already", f"gitorch show {record.id}"
        )
    if record.pin.commit not in present:
        missing = pins.missing(site.repository, record.pin.commit)
        return Refusal(f"{run}: {missing.message}", missing.hint)
    return None


def _adopted(record: Record, clone: str, by: str, why: str | None) -> Record:
    """Return the record as one of this clone. A task that was running waits again."""
    tasks = []
    for task in record.tasks:
        if task.status is Status.RUNNING:
            task = replace(task, status=Status.WAITING)
        tasks.append(task)
    status = record.status
    if status in LIVE:
        status = run_status(states(tasks, record.needs), started=False)
    reason = f"adopted from the clone {record.clone}"
    if why:
        reason += f"; {why}"
    change = Change(
        at=now(), source=record.status, target=status, by=by, why=reason
    )
    changed = replace(record, clone=clone, tasks=tuple(tasks), status=status)
    return noted(changed, change)


def _subject(records: Sequence[Record]) -> str:
    if len(records) == 1:
        return f"{records[0].name} {records[0].id}: adopt"
    return f"{len(records)} runs: adopt"


def _notes(records: Sequence[Record]) -> tuple[str, ...]:
    """Return a note for each run whose record brings an interpreter or variables with it."""
    notes = []
    for record in records:
        has_method = any(task.method is not None for task in record.spec.tasks)
        parts = []
        if has_method:
            parts.append(f"the interpreter {record.interpreter}")
        if record.spec.env:
            parts.append(f"the variables {', '.join(record.spec.env)}")
        if parts:
            notes.append(
                f"{record.id} runs with {' and '.join(parts)} of its record"
            )
    return tuple(notes)
