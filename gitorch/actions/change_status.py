"""`gitorch hold`, `release`, `retry`, `fail`, `resubmit`: the operator's verbs, one commit for all runs of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.selection import Selection, select_rows
from gitorch.database.values import QueuedRun
from gitorch.errors import Refused
from gitorch.model.json_struct import without_empty
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status, sources, verbs
from gitorch.model.run.transitions import CHANGES, Wish, has_something_to_hold
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.recording import catch_up, recording
from gitorch.runs.run_directories import clear_away, materialise_next
from gitorch.runs.site import Site
from gitorch.tools.clock import now

Refusal = tuple[str, str | None]  # why not, and what is possible


class Changed(Struct, frozen=True, kw_only=True):
    """Runs whose status was changed (id, from, to; None: it is gone), and those that it was refused for, with why."""

    runs: tuple[tuple[str, Status, Status | None], ...]
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/change/v1",
            "changed": [
                {"id": run, "from": str(source), "to": target and str(target)}
                for run, source, target in self.runs
            ],
            "refused": [{"id": run, "why": why} for run, why in self.refused],
            **without_empty({"notes": list(self.notes)}),
        }


def change_status(
    site: Site, verb: str, selection: Selection, *, why: str | None = None
) -> Changed:
    """Do `verb`, one of `model.transitions.CHANGES`, to the runs selected.

    Raises NotFound, UsageError, and of runs that were named Refused for all if one may not.
    """
    catch_up(site)
    chosen, refused = select_changeable(site, verb, selection)
    changed = apply_change(site, verb, chosen, CHANGES[verb], why=why)
    return Changed(runs=changed, refused=refused)


def apply_change(
    site: Site,
    verb: str,
    chosen: Sequence[Row],
    changing: Callable[[Record, Wish], Record],
    *,
    why: str | None,
) -> tuple[tuple[str, Status, Status], ...]:
    """Do `verb` to these runs, all of them or none; gives each with its status before and after.

    Raises Refused where one is no longer what it was chosen for.
    """
    if not chosen:
        return ()
    by = site.repository.signature().name
    at = now()
    with recording(site) as changes:
        catalog = Catalog(site)
        changed = []
        for row in chosen:
            current = changes.record(row.id)
            if current is None:
                raise Refused(f"{row.label} ({row.id}) was removed meanwhile")
            if catalog.laid(current).status is not row.status:
                raise Refused(
                    f"{row.label} ({row.id}) was {row.status} a moment ago and is not any more",
                    hint=f"see what it is: gitorch show {row.id}",
                )
            wish = Wish(
                source=row.status,
                by=by,
                at=at,
                why=why,
                running=running_tasks(catalog.queued.get(row.id)),
            )
            changed.append(changing(current, wish))
            changes.put(changed[-1])
        changes.commit(subject(verb, changed))
    if verb in _AFTERWARDS:
        _AFTERWARDS[verb](site, changed)
    return tuple((old.id, old.status, new.status) for old, new in zip(chosen, changed, strict=True))


def select_changeable(
    site: Site, verb: str, selection: Selection
) -> tuple[list[Row], tuple[tuple[str, str], ...]]:
    """The runs to be changed, and the others with why not."""
    catalog = Catalog.of(site)
    rows = select_rows(catalog, selection, verb)
    return split_refused(
        selection, rows, lambda row: refusal(site, verb, row, catalog.queued.get(row.id))
    )


def split_refused(
    selection: Selection, rows: Iterable[Row], refusal: Callable[[Row], Refusal | None]
) -> tuple[list[Row], tuple[tuple[str, str], ...]]:
    """Those of `rows` that are not refused, and the others with why. Raises Refused if any is that was named."""
    refusals = [(row, refusal(row)) for row in rows]
    refused = [(row, said) for row, said in refusals if said]
    if selection.is_named and refused:
        [(message, hint), *_] = [said for _, said in refused]
        more = f" (and {len(refused) - 1} more of these runs)" if len(refused) > 1 else ""
        raise Refused(message + more, hint)
    return [row for row, said in refusals if not said], tuple(
        (row.id, message) for row, (message, _) in refused
    )


def refusal(
    site: Site, verb: str, record: Record | Row, queued: QueuedRun | None
) -> Refusal | None:
    """Why `verb` is not possible, and what is; None: it is."""
    run = f"{record.label} ({record.id})"
    try:
        require_own(site, verb, record)
    except Refused as error:
        return error.message, error.hint
    if record.status not in sources(verb):
        wanted = " or ".join(map(str, sources(verb)))
        possible = ", ".join(known for known in verbs(record.status) if known in OPERATOR_VERBS)
        return (
            f"{run} is {record.status}, and {verb} is for {wanted}",
            f"possible for a {record.status} run: {possible or 'rerun'}",
        )
    if verb == "hold" and not has_something_to_hold(record, running_tasks(queued)):
        return (
            f"{run} has no task left to hold: its last one is running",
            f"gitorch kill {record.id} ends it",
        )
    return None


def require_own(site: Site, verb: str, record: Record | Row) -> None:
    """Only the clone that made a run changes it. Raises Refused."""
    if record.clone != site.repository.clone_id():
        raise Refused(
            f"{record.label} ({record.id}) belongs to another clone of this repository, which alone may {verb} it",
            f"gitorch rerun {record.id} makes a run of your own of it",
        )


def running_tasks(queued: QueuedRun | None) -> frozenset[str]:
    tasks = queued.tasks if queued else ()
    return frozenset(task.id for task in tasks if task.status is Status.RUNNING)


def subject(verb: str, records: Sequence[Record]) -> str:
    """The subject of the commit."""
    if len(records) == 1:
        return f"{records[0].name} {records[0].id}: {verb}"
    return f"{len(records)} runs: {verb}"


OPERATOR_VERBS = (*CHANGES, "kill")


def _clear_away(site: Site, records: Sequence[Record]) -> None:
    """What the results branch does not have of their outputs stays on disk."""
    for record in records:
        has_notes = any(attempt.notes for task in record.tasks for attempt in task.attempts)
        clear_away(site, record.id, keep_files=has_notes)


_AFTERWARDS: Mapping[str, Callable[[Site, Sequence[Record]], None]] = {
    "fail": _clear_away,
    "resubmit": lambda site, _: materialise_next(site),
}
