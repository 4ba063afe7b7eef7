"""`gitorch collect`: fail runs that stayed in ERROR too long, delete unneeded files, repack.

Nothing is lost when a run is failed: its record stays, and `resubmit` queues the run again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from gitorch.actions.change_status import change_status
from gitorch.actions.selection import Selection
from gitorch.errors import Refused, UsageError
from gitorch.git.store.repack import count_packs, repack
from gitorch.model.run.record import Record
from gitorch.model.run.retention import Retention, in_error_since, is_overdue
from gitorch.model.run.status import Status
from gitorch.storage import ledger, leftovers
from gitorch.storage.catalog import Catalog
from gitorch.storage.leftovers import Leftover
from gitorch.storage.recording import catch_up
from gitorch.storage.records import read_sound_records
from gitorch.storage.site import Site
from gitorch.tools import clock


class Cleanup(Struct, frozen=True, kw_only=True):
    """The things that `collect` failed, removed and repacked.

    With `dry_run`, nothing was changed: `failed` and `removed` are the things that would be failed
    and removed, and `packs` are only counted.
    """

    failed: tuple[Record, ...]  # as they were before
    removed: tuple[Leftover, ...]
    trash: int  # the number of things deleted from the trash
    packs: tuple[int, int]  # the number of packs before and after
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        before, after = self.packs
        failed = [
            {
                "id": record.id,
                "label": record.label,
                "since": in_error_since(record),
            }
            for record in self.failed
        ]
        removed = [
            {"path": str(leftover.path), "run": leftover.run, "why": leftover.why}
            for leftover in self.removed
        ]
        return {
            "schema": "gitorch/collect/v1",
            "dry_run": self.dry_run,
            "failed": failed,
            "removed": removed,
            "trash": self.trash,
            "packs": {"before": before, "after": after},
        }


def collect(
    site: Site, *, older_than: str | None = None, dry_run: bool = False
) -> Cleanup:
    """Fail the runs that have been in ERROR for longer than `older_than`, then clean up and repack.

    The default of `older_than` is the setting `gitorch.errorRetention`.
    Raises UsageError if it is not a duration, and the errors of changing the results branch.
    """
    retention = retention_of(site, older_than)
    jump_s = clock.jump_s()
    if jump_s:
        raise Refused(
            f"the clock was set by {jump_s:+.0f} s meanwhile, so no age is certain",
            "check the clock, then: gitorch collect",
        )
    if not dry_run:
        catch_up(site)
    overdue = _overdue(site, _records_in_error(site), retention)
    if not dry_run:
        _fail(site, overdue, retention)
    removed = [*leftovers.find(site), *leftovers.unneeded_caches(site)]
    if not dry_run:
        removed = [
            leftover for leftover in removed if leftovers.remove(site, leftover)
        ]
    trash = leftovers.count_trash(site)
    packs_before = count_packs(site.repository)
    if not dry_run:
        leftovers.empty_trash(site)
        repack(site.repository)
    return Cleanup(
        failed=tuple(overdue),
        removed=tuple(removed),
        trash=trash,
        packs=(packs_before, count_packs(site.repository)),
        dry_run=dry_run,
    )


def fail_overdue(site: Site) -> tuple[Record, ...]:
    """Fail the runs that have been in ERROR for too long. Return their records as they were before.

    This is the cheap part of `collect`: the end of `run` calls it. It reads only the runs in the
    queue.
    Raises UsageError if the setting is not a duration, and the errors of changing the results
    branch.
    """
    in_error = []
    for run in site.queue.runs():
        if any(task.status is Status.ERROR for task in run.tasks):
            in_error.append(run.id)
    records = read_sound_records(site, in_error)
    retention = retention_of(site)
    overdue = _overdue(site, records.values(), retention)
    _fail(site, overdue, retention)
    return tuple(overdue)


def retention_of(site: Site, written: str | None = None) -> Retention:
    """Return how long a run may be in ERROR: `written`, or the setting `gitorch.errorRetention`.

    Raises UsageError if the value is not a duration.
    """
    if written is None:
        return Retention.parse(site.repository.settings.error_retention)
    try:
        return Retention.parse(written)
    except ValueError as error:
        raise UsageError(
            f"--older-than: {written!r} {error}", "write it like 30d, 12h or 90m"
        ) from None


def _records_in_error(site: Site) -> list[Record]:
    catalog = Catalog.of(site)
    live, _ = catalog.standing()
    run_ids = [row.id for row in live if row.status is Status.ERROR]
    sound = read_sound_records(site, run_ids)
    return [catalog.current(record) for record in sound.values()]


def _overdue(
    site: Site, records: Iterable[Record], retention: Retention
) -> list[Record]:
    """Return the records of this clone that have been in ERROR for too long."""
    now = datetime.now(UTC)
    overdue = []
    for record in records:
        if is_overdue(record, retention, now) and ledger.has_queued(site, record):
            overdue.append(record)
    return overdue


def _fail(site: Site, records: Iterable[Record], retention: Retention) -> None:
    run_ids = [record.id for record in records]
    if run_ids:
        change_status(
            site,
            "fail",
            Selection(references=run_ids),
            why=f"in ERROR for longer than {retention.written}",
        )
