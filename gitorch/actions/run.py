"""`gitorch run`: be a worker until there is nothing left to do."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.collect import fail_overdue, retention_of
from gitorch.engines.registry import ENGINES
from gitorch.errors import GitorchError, Refused, UsageError
from gitorch.model.run.announce import Announcement, AttemptEnded, Listener, Noticed, TaskReused
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.liveness import WorkerLocks, this_worker
from gitorch.runs.site import Site
from gitorch.tools.locks import taken
from gitorch.worker.pool import Pool, Summary
from gitorch.worker.recover import recover
from gitorch.worker.surroundings import Surroundings

_CHECKED_OUT = (
    "note: {branch} is checked out in {place}, where new results show as staged changes; "
    "git reset --hard in there shows the results, once nothing in it is yours"
)
MOST_JOBS = 1000  # more tasks at a time than one worker's sockets, and one machine, are for


class RunEnd(Struct, frozen=True, kw_only=True):
    id: str
    label: str
    status: Status


class Worked(Struct, frozen=True, kw_only=True):
    """The runs that this worker executed tasks of."""

    runs: tuple[RunEnd, ...]
    interrupted: bool

    @property
    def failed(self) -> bool:
        return any(run.status is Status.ERROR for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "gitorch/run/v1",
            "runs": [
                {"id": run.id, "label": run.label, "status": str(run.status)} for run in self.runs
            ],
        }


def run(
    site: Site,
    references: Sequence[str],
    listener: Listener,
    *,
    jobs: int,
    environment: Mapping[str, str],
    engine: str = "local",
    stop_after: int | None = None,
    watch: bool = False,
    reuse: bool = True,
) -> Worked:
    """Work the queue, or only the runs named; what a dead worker left is collected first, and counts.

    Without `reuse` nothing is taken from the cache.

    Raises Refused where one of them cannot be run, Busy, GitorchError.
    """
    retention_of(site)  # a bad setting is told before the work, not after it
    surroundings = Surroundings(site, environment)
    worker = this_worker(secrets.token_hex(6))
    locks = WorkerLocks.of(site.state, worker.id)
    named = Catalog.of(site).named(references)
    _require_live(named)  # as they were when they were named: recovery may bring them to their end
    only = [row.id for row in named] if references else None
    collected: dict[str, tuple[str, Status]] = {}

    def hear(heard: Announcement) -> None:
        if isinstance(heard, AttemptEnded | TaskReused):
            collected[heard.run] = (heard.label, heard.run_status)
        listener(heard)

    recover(site, surroundings, hear)
    if place := site.results.checked_out_at():
        listener(Noticed(message=_CHECKED_OUT.format(branch=site.results.name, place=place)))
    with taken(locks.alive):
        site.queue.register(worker)
        try:
            pool = Pool(
                site,
                ENGINES[engine](jobs, locks.slots),
                worker.id,
                listener,
                surroundings=surroundings,
                by=f"worker {worker.host}:{worker.pid}",
                holder=locks.slots,
                only=only,
                stop_after=stop_after,
                watch=watch,
                reuse=reuse,
            )
            summary = pool.work()
        finally:
            if not site.queue.running_of(worker.id):
                site.queue.unregister(worker.id)
                locks.remove()
    _tidy_up(site, listener)
    summary.runs = collected | summary.runs
    return _worked(site, summary)


def _tidy_up(site: Site, listener: Listener) -> None:
    """The cheap part of `collect`, which no result depends on."""
    try:
        for record in fail_overdue(site):
            listener(
                Noticed(
                    message=f"{record.id}  {record.label}: given up, it was in ERROR for too long"
                )
            )
    except GitorchError as error:
        listener(Noticed(message=error.message))


def workable(site: Site, ids: Sequence[str]) -> list[str]:
    """Those of these runs that a worker of this clone can take up."""
    clone = site.repository.clone_id()
    return [
        row.id
        for row in Catalog.of(site).named(ids)
        if row.clone == clone and row.status in (Status.WAITING, Status.RUNNING)
    ]


def jobs_of(text: str | None, site: Site) -> int:
    """How many tasks at a time: what the command line says, else `gitorch.jobs`, else one."""
    chosen = site.repository.settings.jobs if text is None else text
    if chosen == "auto":
        return os.cpu_count() or 1
    if not (chosen.isascii() and chosen.isdecimal() and 1 <= int(chosen[:20]) <= MOST_JOBS):
        raise UsageError(
            f"-j takes a number from 1 to {MOST_JOBS}, or auto; not {chosen!r}",
            hint="gitorch run -j 2",
        )
    return int(chosen)


def _require_live(named: Sequence[Row]) -> None:
    """Runs named explicitly must be such that they can be run."""
    for row in named:
        if row.status in (Status.WAITING, Status.RUNNING):
            continue
        instead = {
            Status.COMPLETE: f"gitorch rerun {row.id} makes and runs it anew",
            Status.ERROR: f"gitorch retry {row.id} lets it continue where it failed",
            Status.HOLD: f"gitorch release {row.id} lets it be run",
            Status.FAILED: f"gitorch resubmit {row.id} queues it again",
        }
        message = f"{row.label} ({row.id}) is {row.status} and cannot be run"
        raise Refused(message, hint=instead[row.status])


def _worked(site: Site, summary: Summary) -> Worked:
    """What became of the runs: one that was stopped on its way is WAITING, now that nobody is at it."""
    left = [run for run, (_, status) in summary.runs.items() if status is Status.RUNNING]
    now = {row.id: row.status for row in Catalog.of(site).rows(left)} if left else {}
    return Worked(
        runs=tuple(
            RunEnd(id=run, label=label, status=now.get(run, status))
            for run, (label, status) in summary.runs.items()
        ),
        interrupted=summary.interrupted,
    )
