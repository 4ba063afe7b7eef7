"""The runs that a verb applies to, selected by reference or by their properties."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from gitorch.errors import UsageError
from gitorch.model.run.ids import LAST
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

if TYPE_CHECKING:
    from gitorch.model.table.where.expression import Where


class Selection(Struct, frozen=True, kw_only=True):
    """A choice of runs, either by reference or by properties.

    If a verb cannot change one of the runs that were named, it refuses all of them. If the runs
    were selected by properties, the verb changes those that it can and reports the others. That
    they were queued last (`@last`) is a property.
    """

    references: Sequence[str] = ()  # see `model/table/references.py`
    where: str | None = None  # an expression, see `model/table/where/`
    status: Status | None = None
    name: str | None = None  # a glob
    everything: bool = False
    among: frozenset[str] | None = (
        None  # of these only: the user has agreed to them
    )

    @property
    def is_named(self) -> bool:
        return any(reference != LAST for reference in self.references)

    @property
    def is_empty(self) -> bool:
        has_properties = self.where is not None or self.status or self.name
        return not (self.references or has_properties or self.everything)


def select_rows(catalog: Catalog, selection: Selection, verb: str) -> list[Row]:
    """Return the rows of the selected runs.

    Named runs come in the order of their references, runs selected by properties newest first.
    Raises NotFound, and UsageError if the selection is empty.
    """
    if selection.is_empty:
        raise UsageError(
            f"which runs? gitorch {verb} ID…, or --where EXPRESSION; see gitorch {verb} --help"
        )
    if selection.is_named:
        return catalog.named(selection.references)
    candidates = None
    if selection.references:
        candidates = catalog.find(selection.references)
    rows = filter_rows(catalog.rows(candidates), selection.where)
    selected = matching_rows(rows, selection)
    catalog.note_selected(selected)
    return selected


def matching_rows(rows: Sequence[Row], selection: Selection) -> list[Row]:
    """Return the rows that have the status, the name and the id that were selected."""
    return [row for row in rows if _matches(row, selection)]


def filter_rows(rows: list[Row], where: str | None) -> list[Row]:
    """Return the rows for which the expression `where` is true; without one, all of them.

    Raises UsageError if the expression is invalid.
    """
    condition = condition_of(where, rows)
    if condition is None:
        return rows
    return list(filter(condition.matches, rows))


def condition_of(where: str | None, rows: Sequence[Row]) -> Where | None:
    """Return the parsed expression `where` about `rows`. Raises UsageError if it is invalid."""
    if where is None:
        return None
    from gitorch.model.table.where.expression import parse_where  # noqa: PLC0415  2 ms at start

    return parse_where(where, rows)


def explain_empty_selection(site: Site, where: str | None) -> str:
    """Return the message that says why no run was selected."""
    rows = Catalog.of(site).rows()
    if not rows:
        return "no runs yet; next: gitorch ready"
    reasons = ["no run matches"]
    condition = condition_of(where, rows)
    if condition:
        reasons += condition.unknown_fields(rows)
    return "; ".join(reasons)


def _matches(row: Row, selection: Selection) -> bool:
    if selection.among is not None and row.id not in selection.among:
        return False
    if selection.status and row.status is not selection.status:
        return False
    return selection.name is None or fnmatch.fnmatchcase(row.name, selection.name)
