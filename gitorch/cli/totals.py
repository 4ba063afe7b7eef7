"""The line of totals that `run` and `status` show."""

from __future__ import annotations

from gitorch.actions.status import SiteStatus
from gitorch.actions.totals_words import UNKNOWN as UNKNOWN
from gitorch.actions.totals_words import about_words as about_words
from gitorch.actions.totals_words import render_estimate as render_estimate
from gitorch.actions.totals_words import time_left
from gitorch.cli.style import paint


def totals_line(status: SiteStatus, *, colors: bool) -> str:
    """Return `37 of 200 done, 2 failed, 2 running, about 4 min left, until 15:42`."""
    totals = status.totals
    parts = [f"{totals.done} of {totals.all} done"]
    if totals.failed:
        parts.append(paint(f"{totals.failed} failed", "red", on=colors))
    if totals.running:
        parts.append(f"{totals.running} running")
    if totals.running or totals.waiting:
        parts += time_left(status)
    return ", ".join(parts)
