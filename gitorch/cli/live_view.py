"""The display of `run` on a terminal: what is at work, below the lines of ended attempts."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gitorch.actions.failures import FailureGroup, recent_failures
from gitorch.actions.status import SiteStatus, status
from gitorch.cli.announcements import Announcements
from gitorch.cli.overview import overview_lines
from gitorch.cli.screen import Screen, messages_above
from gitorch.cli.style import has_colors, masking, printable
from gitorch.cli.suspension import suspendable
from gitorch.errors import GitorchError
from gitorch.model.run.announcement import (
    Announcement,
    AttemptStarted,
    Listener,
)
from gitorch.storage.site import Site
from gitorch.tools.clock import now

# An attempt is shown when it has run for this long: a display of shorter ones would only flicker.
_FIRST_LOOK_S = 0.4
_TICK_S = 0.25
# A look at the state takes a part of the time of at most one in this many.
_REST = 20.0
_LEAST_BETWEEN_S = 1.0


class Outlook:
    """The state that is shown. It looks again when time has passed, and not too often."""

    def __init__(self, site: Site, since: str) -> None:
        # A separate site, since other threads use the one of the command.
        self._site = Site.at(site.repository.root)
        self._since = since
        self._failed = 0
        self._last_look = 0.0
        self._took_s = 0.0
        self._next_failures = 0.0
        self.status: SiteStatus | None = None
        self.failures: Sequence[FailureGroup] = ()

    def look(self, *, has_news: bool = False) -> bool:
        """Read the state if it is time to, with news sooner. Return True if it was."""
        begun = time.monotonic()
        wait_s = max(_LEAST_BETWEEN_S, self._took_s * _REST)
        if has_news:
            wait_s = max(_TICK_S, self._took_s * _REST / 4)
        if begun < self._last_look + wait_s:
            return False
        try:
            self.status = status(self._site, since=self._since)
            self._look_at_failures(self.status.totals.failed)
        except (GitorchError, OSError):
            pass  # busy: the next look will do
        self._last_look = time.monotonic()
        self._took_s = self._last_look - begun
        return True

    def _look_at_failures(self, failed: int) -> None:
        """Gather the failures if there are others. It takes a look at all runs."""
        begun = time.monotonic()
        if failed == self._failed or begun < self._next_failures:
            return
        self.failures = recent_failures(self._site, self._since)
        self._failed = failed
        took = time.monotonic() - begun
        self._next_failures = time.monotonic() + took * _REST

    def lines(self, screen: Screen, *, colors: bool) -> list[str]:
        """Return the lines that fit on the screen."""
        if self.status is None:
            return []
        lines = overview_lines(
            self.status,
            self.failures,
            columns=screen.size.columns,
            rows=screen.most_lines,
            colors=colors,
        )
        return [masking().text(line) for line in lines]


@contextmanager
def live_view(site: Site) -> Iterator[Listener]:
    """Provide a listener that prints ended attempts, with the state of all below."""
    screen = Screen(sys.stderr)
    view = _LiveView(site, screen)
    with messages_above(screen), suspendable(screen):
        view.start()
        try:
            yield view.listen
        finally:
            view.stop()
            screen.erase()


class _LiveView:
    """Draws in a thread of its own, so that the worker waits for nothing."""

    def __init__(self, site: Site, screen: Screen) -> None:
        self._site = site
        self._screen = screen
        self._colors = has_colors(sys.stderr)
        self._lines = Announcements(colors=self._colors, once=True)
        self._since = now()
        self._over = threading.Event()
        self._news = 0  # announcements
        self._thread = threading.Thread(
            target=self._draw, name="live view", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def listen(self, announcement: Announcement) -> None:
        if isinstance(announcement, AttemptStarted):
            self._news += 1
            return
        self._news += 1
        text = self._lines.render(announcement)
        self._screen.print_above(printable(masking().text(text), sys.stderr))

    def _draw(self) -> None:
        if self._over.wait(_FIRST_LOOK_S):
            return
        outlook = Outlook(self._site, self._since)
        seen = 0
        while not self._over.is_set():
            news = self._news
            if outlook.look(has_news=news != seen):
                seen = news
            self._screen.draw(outlook.lines(self._screen, colors=self._colors))
            self._over.wait(_TICK_S)
