"""The runs that `gitorch run` is asked to execute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitorch.actions.selection import Selection, select_rows
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted, some
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

RUNNABLE = (Status.WAITING, Status.RUNNING)
_NAMED = 5  # runs in a note


class Targets(NamedTuple):
    """The ids of the runs to execute, and notes on the names that refer to several runs."""

    run_ids: list[str]
    notes: list[str]


def find_targets(site: Site, selection: Selection) -> Targets:
    """Return the selected runs. Of runs selected by properties, only those that can be executed.

    A name refers to all unfinished runs of that name that can be executed. If there is none, it
    refers to the latest run, as it does for other commands.
    Raises NotFound, and UsageError if a reference is ambiguous.
    """
    catalog = Catalog.of(site)
    if not selection.is_named:
        rows = select_rows(catalog, selection, "run")
        return Targets([row.id for row in _workable(site, rows)], [])
    run_ids: dict[str, None] = {}
    notes = []
    for reference in selection.references:
        waiting = _workable(site, catalog.unfinished_called(reference))
        found = [row.id for row in waiting] or catalog.find([reference])
        run_ids.update(dict.fromkeys(found))
        if waiting and found != [catalog.called(reference)]:
            count = counted(len(found), "run")
            notes.append(
                f"{reference}: {count} of this name: {some(found, _NAMED)}"
            )
    return Targets(list(run_ids), notes)


def workable(site: Site, run_ids: Sequence[str]) -> list[str]:
    """Return the ids of the runs that a worker of this clone can run."""
    rows = Catalog.of(site).named(run_ids)
    return [row.id for row in _workable(site, rows)]


def _workable(site: Site, rows: Iterable[Row]) -> list[Row]:
    clone = site.repository.clone_id()
    return [row for row in rows if row.clone == clone and row.status in RUNNABLE]
