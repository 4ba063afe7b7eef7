"""The overview: what is running, what waits and why, what failed, and the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitorch.actions.failures import FailureGroup, gather_failures
from gitorch.actions.status import SiteStatus, status
from gitorch.actions.totals_words import time_left
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted
from gitorch.page.view import Desk, Query, View

_MOST_WAITING = 50
_MOST_RUNNING = 100
_MOST_NAMED = 8  # runs of one cause


def overview(desk: Desk, query: Query) -> View:
    """Return the view of everything that is not over."""
    current = status(desk.site)
    document = current.to_json()
    runs: list[dict[str, Any]] = document["runs"]
    by_status: dict[str, list[dict[str, Any]]] = {name: [] for name in Status}
    for run in runs:
        by_status[run["status"]].append(run)
    waiting = [*by_status[Status.WAITING], *by_status[Status.HOLD]]
    running = by_status[Status.RUNNING]
    context = {
        "counts": document["counts"],
        "headline": _headline(current),
        "strip": _strip(current),
        "running": running[:_MOST_RUNNING],
        "more_running": max(0, len(running) - _MOST_RUNNING),
        "waiting": waiting[:_MOST_WAITING],
        "more_waiting": max(0, len(waiting) - _MOST_WAITING),
        "causes": _causes(desk, current),
        "workers": document["workers"],
        "most_named": _MOST_NAMED,
    }
    return View(
        template="overview.html",
        title="Overview",
        section="overview",
        context=context,
        document=lambda: document,
    )


def _headline(current: SiteStatus) -> list[str]:
    """Return the totals in the words of the terminal, in parts."""
    totals = current.totals
    if not totals.running and not totals.waiting:
        return _outcome(current)
    parts = [f"{totals.done} of {totals.all} done"]
    if totals.failed:
        parts.append(f"{totals.failed} failed")
    if totals.running:
        parts.append(f"{totals.running} running")
    return parts + time_left(current)


def _outcome(current: SiteStatus) -> list[str]:
    """Return how the runs ended, for a queue in which none is at work."""
    counts = current.counts
    if not any(counts.values()):
        return ["No runs yet"]
    parts = [f"{counted(counts[Status.COMPLETE], 'run')} complete"]
    failed = counts[Status.ERROR] + counts[Status.FAILED]
    if failed:
        parts.append(f"{failed} failed")
    return parts


def _strip(current: SiteStatus) -> list[tuple[str, int]]:
    """Return the shares of the runs that are at work, or of all runs if none is."""
    totals = current.totals
    shares = {
        "complete": totals.done,
        "running": totals.running,
        "error": totals.failed,
        "waiting": totals.waiting,
    }
    if not totals.running and not totals.waiting:
        shares = {str(name).lower(): n for name, n in current.counts.items()}
    return [(name, count) for name, count in shares.items() if count]


def _causes(desk: Desk, current: SiteStatus) -> Sequence[FailureGroup]:
    """Return the runs in ERROR, grouped by cause."""
    failed = tuple(run.id for run in current.runs if run.status is Status.ERROR)
    if not failed:
        return ()
    source = (failed, desk.site.results.tip())
    causes: Sequence[FailureGroup] = desk.remembered(
        "causes", source, lambda: _gathered(desk, failed)
    )
    return causes


def _gathered(desk: Desk, failed: Sequence[str]) -> Sequence[FailureGroup]:
    ended = {}
    for row in desk.runs.rows():
        if row.status in (Status.COMPLETE, Status.ERROR):
            ended[row.id] = row.status
    return gather_failures(desk.site, ended)
