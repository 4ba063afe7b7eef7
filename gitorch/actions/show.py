"""`gitorch show`: one run, assembled from its record and the attempts beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.explain_cache import explain_cached_tasks
from gitorch.actions.records import read_records
from gitorch.actions.waiting import explain_not_running, view_queue
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Attempt, Record
from gitorch.model.run.record_file import read_attempt
from gitorch.model.run.status import LIVE
from gitorch.model.table.row import Row
from gitorch.storage import ledger
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site


class Shown(Struct, frozen=True, kw_only=True):
    """A run with all attempts and the explanations that `show` gives."""

    record: Record
    why: (
        str | None
    )  # the reason why the run is not running; None if it is running or over
    origins: Mapping[str, str]  # by task with `cache`: where its results come from
    # True if this clone did not queue the run as its record is: see `ledger.py`.
    is_foreign: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/show/v1",
            "run": self.record.to_json(),
            "why": self.why,
        }


def show(site: Site, reference: str) -> Shown:
    """Return the run that `reference` means. Raises NotFound, UsageError."""
    catalog = Catalog.of(site)
    [record] = read_records(site, catalog, catalog.find([reference]))
    why = None
    if record.status in LIVE:
        row = Row.of(record)
        why = explain_not_running(row, view_queue(site, catalog))
    return Shown(
        record=_with_all_attempts(site, record),
        why=why,
        origins=explain_cached_tasks(site, catalog, record),
        is_foreign=not ledger.has_queued(site, record),
    )


def _with_all_attempts(site: Site, record: Record) -> Record:
    """Return the record with the earlier attempts, which are stored in separate files."""
    task_ids = []
    paths = []
    for task in record.tasks:
        for number in range(1, task.attempt_count):
            task_ids.append(task.id)
            paths.append(RunPaths.of(record.id).attempt(task.id, number).attempt)
    earlier: defaultdict[str, list[Attempt]] = defaultdict(list)
    for task_id, data in zip(task_ids, site.results.read_all(paths), strict=True):
        if (
            data is not None
        ):  # a number that was claimed and returned before it ran leaves a gap
            attempt = read_attempt(data)
            if attempt is not None:
                earlier[task_id].append(attempt)
    tasks = []
    for task in record.tasks:
        others = earlier[task.id]
        took_s = sum(attempt.duration_s for attempt in others)
        attempts = (*others, *task.attempts)
        tasks.append(replace(task, attempts=attempts, earlier_s=round(took_s, 6)))
    return replace(record, tasks=tuple(tasks))
