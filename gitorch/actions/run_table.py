"""The rows of all runs, kept in memory by a program that shows them again and again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from gitorch.model.table.fields import KnownRows, Path, known_fields
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

_FEW = 2_000  # runs; if more have changed, all rows are read again


class RunTable:
    """The rows of a site. Several threads may use one table.

    Only the rows of runs whose records have changed are read again. The queue is read each time.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._lock = threading.Lock()
        self._tip: str | None = None
        self._recorded: list[Row] = []
        self._fields: dict[Path, None] = {}
        self._positions: dict[str, int] = {}

    @property
    def tip(self) -> str | None:
        """The commit of the results branch that the rows were last read from."""
        return self._tip

    def rows(self) -> KnownRows:
        """Return the current rows of all runs, newest first."""
        with self._lock:
            catalog = Catalog(self.site)
            queued = (
                catalog.shown
            )  # before the records, which are newer if a run ends in between
            tip = self.site.results.tip()
            if tip != self._tip:
                self._update(catalog, tip)
                self._tip = tip
            rows = KnownRows(self._recorded, self._fields)
            for run_id in queued:
                position = self._positions.get(run_id)
                if position is not None:
                    rows[position] = catalog.current(rows[position])
            return rows

    def row(self, run_id: str) -> Row | None:
        """Return the current row of a run, None if there is no such run."""
        rows = self.rows()
        position = self._positions.get(run_id)
        return None if position is None else rows[position]

    def _update(self, catalog: Catalog, tip: str | None) -> None:
        changed = None
        if tip is not None and self._tip is not None:
            changed = self.site.results.changes(self._tip, tip)
        if changed is None or len(changed) > _FEW:
            self._recorded = catalog.recorded()
            self._fields = dict.fromkeys(known_fields(self._recorded))
        elif changed:
            self._replace(changed, catalog.recorded(changed))
        self._positions = {
            row.id: position for position, row in enumerate(self._recorded)
        }

    def _replace(self, changed: Sequence[str], new: Sequence[Row]) -> None:
        gone = set(changed)
        kept = [row for row in self._recorded if row.id not in gone]
        self._recorded = sorted(
            [*new, *kept], key=lambda row: row.order, reverse=True
        )
        self._fields |= dict.fromkeys(known_fields(new))
