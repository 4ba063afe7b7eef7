"""`gitorch list`: all runs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitorch.actions.lookup import all_records
from gitorch.model.record import Record
from gitorch.worker.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    runs: tuple[Record, ...]

    def to_json(self) -> dict[str, Any]:
        return {"schema": "gitorch/list/v1", "runs": [_row(record) for record in self.runs]}


def listing(site: Site) -> Listing:
    return Listing(runs=tuple(all_records(site)))


def _row(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "label": record.label,
        "status": str(record.status),
        "commit": record.pin.commit,
        "params": record.spec.params,
        "swept": list(record.spec.swept),
        "metrics": record.metrics,
        "created": record.created,
        "started": record.started,
        "ended": record.ended,
        "duration_s": record.duration_s,
    }


def columns_that_differ(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The keys of `rows`, in order of appearance, in which not all of them agree."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if len({repr(row.get(key)) for row in rows}) > 1]
