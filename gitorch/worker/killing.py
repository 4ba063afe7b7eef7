"""The wish to kill a run, carried out: its processes end, then its record goes, then its queue entry.

The wish is stored in the queue first, so that nothing of the run is claimed and no attempt of it accepted any more; it
is carried out by whoever gets to it, also after a crash. The record goes only when the whole process tree is dead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from gitorch.database.values import Claim
from gitorch.engines.sweep import sweep
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.liveness import living
from gitorch.runs.recording import recording
from gitorch.runs.run_directories import clear_away
from gitorch.runs.site import Site
from gitorch.tools.clock import now

# How long a living worker may take, beyond the grace of its processes, before they are ended without it.
_WORKER_S = 5.0
_PAUSE_S = 0.02


def finish_killing(
    site: Site, runs: Sequence[str], *, by: str, why: str | None = None
) -> list[Record]:
    """Carry out the wish for doomed runs; gives those that had completed before it. Safe to repeat."""
    for run in runs:
        _end_processes(site, run)
    too_late = []
    removed = []
    mark = f"{now()} {by}: {why or 'killed'}\n".encode()
    with recording(site) as changes:
        for run in runs:
            record = changes.record(run)
            if record is not None and record.status is not Status.COMPLETE:
                changes.remove(record, mark=mark)
                removed.append(record)
                continue
            if record is not None:
                too_late.append(record)
            changes.follow(run, record)
        if removed:
            names = removed[0].id if len(removed) == 1 else f"{len(removed)} runs"
            reason = f" ({why})" if why else ""
            changes.commit(f"{names}: kill{reason}")
        else:
            changes.bring_queue()
    for run in runs:
        clear_away(site, run)
    return too_late


def _end_processes(site: Site, run: str) -> None:
    """Wait until the run's workers have ended its attempts; where they are dead, or do not answer, do it for them."""
    deadline = time.monotonic() + site.settings.grace_s + _WORKER_S
    while claims := site.queue.running_in(run):
        alive = living(site.state, site.queue.workers())
        if time.monotonic() > deadline or not any(worker in alive for _, worker in claims):
            _sweep(site, [claim for claim, _ in claims])
            return
        time.sleep(_PAUSE_S)


def _sweep(site: Site, claims: Sequence[Claim]) -> None:
    attempts = [ClaimedAttempt.of(site, claim) for claim in claims]
    sweep(
        {attempt.claim.token: attempt.directory.path for attempt in attempts},
        grace_s=site.settings.grace_s,
    )
    for claim in claims:
        site.queue.end_killed_task(claim.run, claim.task, claim.token)
