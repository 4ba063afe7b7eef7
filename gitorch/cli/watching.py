"""`status --watch`: the state of the queue, shown until Ctrl-C."""

from __future__ import annotations

import sys
import time

from gitorch.actions.status import SiteStatus, Totals, status
from gitorch.cli.live_view import Outlook
from gitorch.cli.screen import Screen
from gitorch.cli.style import has_colors, moves_cursor, put
from gitorch.cli.suspension import suspendable
from gitorch.cli.totals import totals_line
from gitorch.storage.site import Site
from gitorch.tools.clock import now

_TICK_S = 0.25
_BETWEEN_S = 1.0
_HEARTBEAT_S = 30.0


def watch(site: Site) -> None:
    """Show the state until the user presses Ctrl-C. The last state stays on the terminal."""
    try:
        if moves_cursor(sys.stdout):
            _on_terminal(site)
        else:
            _in_lines(site)
    except KeyboardInterrupt:
        return


def _on_terminal(site: Site) -> None:
    screen = Screen(sys.stdout)
    outlook = Outlook(site, _since(status(site)))
    with suspendable(screen):
        try:
            while True:
                outlook.look()
                colors = has_colors(sys.stdout)
                screen.draw(outlook.lines(screen, colors=colors))
                time.sleep(_TICK_S)
        finally:
            screen.leave()


def _since(current: SiteStatus) -> str:
    """Return the time from which on ended runs count: when the oldest worker began, else now."""
    return min((live.worker.since for live in current.workers), default=now())


def _in_lines(site: Site) -> None:
    """Print the totals when they change, and every 30 seconds."""
    since = _since(status(site))
    before: Totals | None = None
    said = 0.0
    while True:
        current = status(site, since=since)
        totals = current.totals
        counts = Totals(
            done=totals.done,
            failed=totals.failed,
            running=totals.running,
            waiting=totals.waiting,
        )
        if counts != before or time.monotonic() - said > _HEARTBEAT_S:
            put(totals_line(current, colors=False), flush=True)
            before, said = counts, time.monotonic()
        time.sleep(_BETWEEN_S)
