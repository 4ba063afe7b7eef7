"""`gitorch show`: one run, assembled from its record and the attempts beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.explain_cache import explain_cached_tasks
from gitorch.actions.records import read_records
from gitorch.actions.waiting import explain_not_running, view_queue
from gitorch.git.diff import snapshot_changes
from gitorch.model.branch_layout import environment_path
from gitorch.model.run.compare import SnapshotChanges
from gitorch.model.run.record import Attempt, Record
from gitorch.model.run.status import LIVE
from gitorch.model.table.row import Row
from gitorch.storage import ledger
from gitorch.storage.attempts import EarlierAttempt, earlier_attempts
from gitorch.storage.catalog import Catalog
from gitorch.storage.environments import with_environments
from gitorch.storage.site import Site


class Shown(Struct, frozen=True, kw_only=True):
    """A run with all attempts and the explanations that `show` gives."""

    record: Record
    why: (
        str | None
    )  # the reason why the run is not running; None if it is running or over
    origins: Mapping[str, str]  # by task with `cache`: where its results come from
    # The paths on the results branch of what belongs to the run and cannot be read.
    unreadable: tuple[str, ...] = ()
    # True if this clone did not queue the run as its record is: see `ledger.py`.
    is_foreign: bool = False
    # The changes that the run's snapshot took. None if its code is not a snapshot in this clone.
    snapshot: SnapshotChanges | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/show/v1",
            "run": self.record.to_json(),
            "why": self.why,
            "unreadable": list(self.unreadable),
            "not_recorded": list(self.record.spec.unrecorded_links),
            "snapshot": self.snapshot.to_json() if self.snapshot else None,
        }


def show(site: Site, reference: str) -> Shown:
    """Return the run that `reference` means. Raises NotFound, UsageError."""
    catalog = Catalog.of(site)
    records = read_records(site, catalog, [catalog.find_one(reference)])
    [record] = with_environments(site, records)
    why = None
    if record.status in LIVE:
        row = Row.of(record)
        why = explain_not_running(row, view_queue(site, catalog))
    earlier = list(earlier_attempts(site, record))
    unreadable = [found.path for found in earlier if found.attempt is None]
    digest = record.environment_sha256
    if digest is not None and not record.environment:
        unreadable.append(environment_path(digest))
    return Shown(
        record=_with_attempts(record, earlier),
        unreadable=tuple(unreadable),
        why=why,
        origins=explain_cached_tasks(site, catalog, record),
        is_foreign=not ledger.has_queued(site, record),
        snapshot=snapshot_changes(site.repository, record.pin),
    )


def _with_attempts(record: Record, earlier: Sequence[EarlierAttempt]) -> Record:
    """Return the record with its earlier attempts, as far as they can be read."""
    readable: defaultdict[str, list[Attempt]] = defaultdict(list)
    unreadable = {found.task for found in earlier if found.attempt is None}
    for found in earlier:
        if found.attempt is not None:
            readable[found.task].append(found.attempt)
    tasks = []
    for task in record.tasks:
        others = readable[task.id]
        took_s = round(sum(attempt.duration_s for attempt in others), 6)
        if task.id in unreadable:
            took_s = max(took_s, task.earlier_s)
        attempts = (*others, *task.attempts)
        tasks.append(replace(task, attempts=attempts, earlier_s=took_s))
    return replace(record, tasks=tuple(tasks))
