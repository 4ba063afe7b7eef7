"""`gitorch list`: all runs, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitorch.model.row import Row
from gitorch.worker.catalog import Catalog
from gitorch.worker.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    runs: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return {"schema": "gitorch/list/v1", "runs": [row.to_json() for row in self.runs]}


def listing(site: Site) -> Listing:
    return Listing(runs=tuple(Catalog.of(site).rows()))
