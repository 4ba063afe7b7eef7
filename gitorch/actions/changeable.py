"""The runs that a verb of the operator may change, and the reasons why it refuses the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from gitorch.actions.selection import Selection, select_rows
from gitorch.database.values import QueuedRun
from gitorch.errors import Refused
from gitorch.model.run.record import Record
from gitorch.model.run.record_changes import CHANGES, has_something_to_hold
from gitorch.model.run.status import Status, sources, verbs
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import one_of
from gitorch.storage import ledger
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

OPERATOR_VERBS = (*CHANGES, "kill")


class Refusal(NamedTuple):
    """The reason why a run cannot be changed, and a hint at the alternative."""

    message: str
    hint: str | None


class Changeable(NamedTuple):
    """The rows of the runs that can be changed, and the id and reason of each refused run."""

    rows: list[Row]
    refused: tuple[tuple[str, str], ...]


def select_changeable(site: Site, verb: str, selection: Selection) -> Changeable:
    """Return the selected runs that `verb` can change.

    Raises NotFound, UsageError, and Refused if one of the runs that were named cannot be changed.
    """
    catalog = Catalog.of(site)
    rows = select_rows(catalog, selection, verb)

    def refusal_of(row: Row) -> Refusal | None:
        return refusal(site, verb, row, catalog.queued.get(row.id))

    return split_refused(selection, rows, refusal_of)


def split_refused(
    selection: Selection,
    rows: Iterable[Row],
    refusal_of: Callable[[Row], Refusal | None],
) -> Changeable:
    """Split the rows into those that can be changed and those that are refused.

    Raises Refused if one of the runs that were named is refused.
    """
    changeable = []
    refused = []
    refusals = []
    for row in rows:
        reason = refusal_of(row)
        if reason is None:
            changeable.append(row)
        else:
            refused.append((row.id, reason.message))
            refusals.append(reason)
    if selection.is_named and refusals:
        raise _refused_together(refusals)
    return Changeable(changeable, tuple(refused))


def refusal(
    site: Site, verb: str, row: Row, queued: QueuedRun | None
) -> Refusal | None:
    """Return why `verb` cannot change the run, or None if it can."""
    run = f"{row.label} ({row.id})"
    foreign = refusal_of_foreign_run(site, verb, row)
    if foreign:
        return foreign
    if row.status not in sources(verb):
        required = one_of(sources(verb))
        possible = [other for other in verbs(row.status) if other in OPERATOR_VERBS]
        return Refusal(
            f"{run} is {row.status}, and {verb} is for {required}",
            f"possible for a {row.status} run: {', '.join(possible) or 'rerun'}",
        )
    if verb == "hold" and not has_something_to_hold(row, running_task_ids(queued)):
        return Refusal(
            f"{run} has no task left to hold: its last task is running",
            f"gitorch kill {row.id} ends it",
        )
    return None


def refusal_of_foreign_run(site: Site, verb: str, row: Row) -> Refusal | None:
    """Return a refusal if another clone created the run: only that clone may change it."""
    if row.clone == site.repository.clone_id():
        return None
    return Refusal(
        f"{row.label} ({row.id}) belongs to another clone of this repository; "
        f"only that clone can {verb} it",
        f"gitorch rerun {row.id} repeats it as a run of this clone; "
        f"if that clone is gone, gitorch adopt {row.id} takes it over",
    )


def refusal_of_unqueued_run(site: Site, record: Record) -> Refusal | None:
    """Return a refusal if this clone has not queued the run as its record is: see `ledger.py`."""
    if ledger.has_queued(site, record):
        return None
    return Refusal(
        f"{record.label} ({record.id}) was not queued by this clone as its record is now",
        f"gitorch show {record.id} shows what it executes; gitorch adopt {record.id} takes it over",
    )


def running_task_ids(queued: QueuedRun | None) -> frozenset[str]:
    tasks = queued.tasks if queued else ()
    return frozenset(task.id for task in tasks if task.status is Status.RUNNING)


def _refused_together(refusals: list[Refusal]) -> Refused:
    """Return the error that reports the first refusal and counts the others."""
    message, hint = refusals[0]
    if len(refusals) > 1:
        message += f" (and {len(refusals) - 1} more of these runs)"
    return Refused(message, hint)
