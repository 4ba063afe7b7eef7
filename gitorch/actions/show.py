"""`gitorch show`: one run, put together from its record and the attempts beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.explain_cache import explain_cached_tasks
from gitorch.actions.records import read_records
from gitorch.actions.waiting import explain_not_running, view_queue
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Attempt, Record, TaskRecord
from gitorch.model.run.status import LIVE
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site


class Shown(Struct, frozen=True, kw_only=True):
    """`why` says why the run is not running, where it is not; `origins`, by task, where results of tasks with `cache`
    come from."""

    record: Record
    why: str | None
    origins: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"schema": "gitorch/show/v1", "run": self.record.to_json(), "why": self.why}


def show(site: Site, reference: str) -> Shown:
    """Raises NotFound, UsageError."""
    catalog = Catalog.of(site)
    [record] = read_records(site, catalog, catalog.find([reference]))
    earlier = [
        (task.id, RunPaths.of(record.id).attempt(task.id, number).attempt)
        for task in record.tasks
        for number in range(1, task.attempt_count)
    ]
    found = site.results.read_all([path for _, path in earlier])
    attempts: dict[str, list[Attempt]] = {}
    for (task_id, _), data in zip(earlier, found, strict=True):
        if data is not None:  # a number that was claimed and given back before it ran leaves a gap
            attempts.setdefault(task_id, []).append(Attempt.from_json(json.loads(data)))
    whole = replace(record, tasks=tuple(_whole(task, attempts) for task in record.tasks))
    row = Row.of(record.to_json())
    return Shown(
        record=whole,
        why=explain_not_running(row, view_queue(site, catalog)) if record.status in LIVE else None,
        origins=explain_cached_tasks(site, catalog, record),
    )


def _whole(task: TaskRecord, attempts: dict[str, list[Attempt]]) -> TaskRecord:
    return replace(task, attempts=(*attempts.get(task.id, ()), *task.attempts))
