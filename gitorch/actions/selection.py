"""Which runs a verb is for: by what they are called, or by what they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from msgspec import Struct

from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.table.where import parse_where
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site


class Selection(Struct, frozen=True, kw_only=True):
    """Runs by what they are called, all or nothing; or by what they are, those that may."""

    references: Sequence[str] = ()
    where: str | None = None  # an expression, see `model/where.py`
    status: Status | None = None
    name: str | None = None  # a glob
    everything: bool = False

    @property
    def is_named(self) -> bool:
        return bool(self.references)

    @property
    def is_empty(self) -> bool:
        return not (
            self.references or self.where is not None or self.status or self.name or self.everything
        )


def select_rows(catalog: Catalog, selection: Selection, verb: str) -> list[Row]:
    """Those named, in the order of their names; or those that are so, newest first. Raises NotFound, UsageError."""
    if selection.is_empty:
        raise UsageError(
            f"which runs? gitorch {verb} ID…, or --where EXPRESSION; see gitorch {verb} --help"
        )
    if selection.is_named:
        return catalog.named(selection.references)
    rows = filter_rows(catalog.rows(), selection.where)
    return [row for row in rows if _matches(row, selection)]


def filter_rows(rows: list[Row], where: str | None) -> list[Row]:
    """Those of `rows` that the expression is true of; all of them without one. Raises UsageError."""
    return rows if where is None else list(filter(parse_where(where, rows).matches, rows))


def explain_empty_selection(site: Site, where: str | None) -> str:
    """What is to be said where nothing is selected."""
    rows = Catalog.of(site).rows()
    if not rows:
        return "no runs yet; next: gitorch ready"
    unheard_of = parse_where(where, rows).unheard_of(rows) if where is not None else []
    return "; ".join(["no run matches", *unheard_of])


def _matches(row: Row, selection: Selection) -> bool:
    if selection.status and row.status is not selection.status:
        return False
    return selection.name is None or fnmatch.fnmatchcase(row.name, selection.name)
