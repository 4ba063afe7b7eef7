"""The progress that `run` shows: one line per change, and a live view on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from gitorch.cli.announcements import Announcements
from gitorch.cli.style import duration, has_colors, moves_cursor, say
from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    AttemptRefused,
    AttemptStarted,
    Listener,
)
from gitorch.storage.site import Site

HEARTBEAT_S = 30.0


@contextmanager
def showing(site: Site) -> Iterator[Listener]:
    """Provide a listener that shows every announcement on stderr."""
    view: AbstractContextManager[Listener]
    if moves_cursor(sys.stderr):
        from gitorch.cli.live_view import live_view  # what it shows is loaded late

        view = live_view(site)
    else:
        view = _lines()
    with view as listener:
        yield listener


@contextmanager
def _lines() -> Iterator[Listener]:
    """Provide a listener that prints a line per change, and a heartbeat while nothing changes."""
    heartbeat = _Heartbeat()
    lines = Announcements(colors=has_colors(sys.stderr))

    def listen(announcement: Announcement) -> None:
        heartbeat.notice(announcement)
        say(lines.render(announcement))

    heartbeat.start()
    try:
        yield listen
    finally:
        heartbeat.stop()


class _Heartbeat:
    """Says every 30 seconds that attempts are running, if nothing else was said in between."""

    def __init__(self) -> None:
        self._started: dict[tuple[str, str], float] = {}  # the running attempts
        self._last_said = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name="heartbeat", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def notice(self, announcement: Announcement) -> None:
        self._last_said = time.monotonic()
        match announcement:
            case AttemptStarted():
                self._started[announcement.run_id, announcement.task] = (
                    time.monotonic()
                )
            case AttemptEnded() | AttemptRefused():
                self._started.pop((announcement.run_id, announcement.task), None)

    def _beat(self) -> None:
        while not self._over.wait(1.0):
            now = time.monotonic()
            started = list(self._started.values())
            if started and now - self._last_said >= HEARTBEAT_S:
                self._last_said = now
                longest = duration(now - min(started))
                say(f"{len(started)} running, the longest for {longest}")
