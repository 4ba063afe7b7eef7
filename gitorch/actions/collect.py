"""`gitorch collect`: give up what failed long ago, remove what nothing needs any more, pack the results.

Of runs that failed nothing is lost by it: their records stay, and `resubmit` queues them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from gitorch.actions.change_status import change_status
from gitorch.actions.records import read_records
from gitorch.actions.selection import Selection
from gitorch.errors import UsageError
from gitorch.git.store.repack import count_packs, repack
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Record
from gitorch.model.run.retention import Retention, in_error_since, is_overdue
from gitorch.model.run.status import Status
from gitorch.runs import leftovers
from gitorch.runs.catalog import Catalog
from gitorch.runs.leftovers import Leftover
from gitorch.runs.recording import catch_up
from gitorch.runs.site import Site


class Cleanup(Struct, frozen=True, kw_only=True):
    """What was done, or with `dry_run` what would be: packs are then only counted."""

    failed: tuple[Record, ...]  # as they were
    removed: tuple[Leftover, ...]
    trash: int  # things deleted for good
    packs: tuple[int, int]  # how many there were, and are
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/collect/v1",
            "dry_run": self.dry_run,
            "failed": [
                {"id": record.id, "label": record.label, "since": in_error_since(record)}
                for record in self.failed
            ],
            "removed": [
                {"path": str(left.path), "run": left.run, "why": left.why} for left in self.removed
            ],
            "trash": self.trash,
            "packs": {"before": self.packs[0], "after": self.packs[1]},
        }


def collect(site: Site, *, older_than: str | None = None, dry_run: bool = False) -> Cleanup:
    """Runs in ERROR for longer than `older_than`, by default `gitorch.errorRetention`, are FAILED afterwards.

    Raises UsageError where that is no length of time, and what changing the branch does.
    """
    retention = retention_of(site, older_than)
    if not dry_run:
        catch_up(site)
    catalog = Catalog.of(site)
    live, _ = catalog.standing()
    in_error = read_records(site, catalog, [row.id for row in live if row.status is Status.ERROR])
    failed = _overdue(site, in_error, retention)
    if not dry_run:
        _fail(site, failed, retention)
    removed = leftovers.find(site)
    if not dry_run:
        removed = [left for left in removed if leftovers.remove(site, left)]
    trash = leftovers.count_trash(site)
    before = count_packs(site.repository)
    if not dry_run:
        leftovers.empty_trash(site)
        repack(site.repository)
    return Cleanup(
        failed=tuple(failed),
        removed=tuple(removed),
        trash=trash,
        packs=(before, count_packs(site.repository)),
        dry_run=dry_run,
    )


def fail_overdue(site: Site) -> tuple[Record, ...]:
    """The cheap part, for the end of `run`: give up what failed long ago.

    Gives these runs as they were. Raises UsageError and what changing the branch does.
    """
    runs = [
        run.id
        for run in site.queue.runs()
        if any(task.status is Status.ERROR for task in run.tasks)
    ]
    found = site.results.read_all([RunPaths.of(run).record for run in runs])
    records = [Record.from_json(json.loads(data)) for data in found if data]
    retention = retention_of(site)
    failed = _overdue(site, records, retention)
    _fail(site, failed, retention)
    return tuple(failed)


def retention_of(site: Site, written: str | None = None) -> Retention:
    """How long a run may be in ERROR: `written`, or the setting errorRetention. Raises UsageError."""
    if written is None:
        return Retention.parse(site.repository.settings.error_retention)
    try:
        return Retention.parse(written)
    except ValueError as error:
        raise UsageError(
            f"--older-than: {written!r} {error}", "write it like 30d, 12h or 90m"
        ) from None


def _overdue(site: Site, records: Iterable[Record], retention: Retention) -> list[Record]:
    clone = site.repository.clone_id()
    moment = datetime.now(UTC)
    return [
        record
        for record in records
        if record.clone == clone and is_overdue(record, retention, moment)
    ]


def _fail(site: Site, records: Iterable[Record], retention: Retention) -> None:
    runs = [record.id for record in records]
    if runs:
        change_status(
            site,
            "fail",
            Selection(references=runs),
            why=f"in ERROR for longer than {retention.written}",
        )
