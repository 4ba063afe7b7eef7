"""A table of the running attempts, redrawn below the lines that `run` prints on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gitorch.cli.announcements import Announcements
from gitorch.cli.render_status import render_progress
from gitorch.cli.style import duration, has_colors, in_line, masking
from gitorch.cli.totals import render_estimate
from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    AttemptRefused,
    AttemptStarted,
    Listener,
)
from gitorch.model.workspace import AttemptDirectory
from gitorch.storage.progress import read_progress

_REDRAWS_PER_SECOND = 4


@contextmanager
def live_view() -> Iterator[Listener]:
    """Provide a listener that prints ended attempts, with a table of running attempts below."""
    console = _Console(
        stderr=True, highlight=False, no_color=not has_colors(sys.stderr)
    )
    view = _LiveView(console)
    live = Live(
        get_renderable=view.draw,
        console=console,
        refresh_per_second=_REDRAWS_PER_SECOND,
        transient=True,
    )
    with live:
        yield view.listen


class _Console(Console):
    """A console with a cursor that stays visible.

    rich hides it while it draws. Ctrl-Z and `kill -9` would leave the user's shell without one.
    """

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _LiveView:
    """The running attempts. rich draws them in its own thread, so access needs the lock."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines = Announcements(colors=has_colors(sys.stderr))
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], tuple[AttemptStarted, float]] = {}

    def listen(self, announcement: Announcement) -> None:
        if isinstance(announcement, AttemptStarted):
            with self._lock:
                key = announcement.run_id, announcement.task
                self._running[key] = announcement, time.monotonic()
            return
        if isinstance(announcement, AttemptEnded | AttemptRefused):
            with self._lock:
                self._running.pop((announcement.run_id, announcement.task), None)
        line = self._lines.render(announcement)
        self._console.print(Text.from_ansi(masking().text(line)), soft_wrap=True)

    def draw(self) -> Table:
        with self._lock:
            running = list(self._running.values())
        grid = Table.grid(padding=(0, 2))
        for attempt, started in running:
            grid.add_row(*_cells(attempt, time.monotonic() - started))
        return grid


def _cells(attempt: AttemptStarted, elapsed_s: float) -> list[RenderableType]:
    directory = AttemptDirectory(attempt.events.parent)
    progress = read_progress(
        directory, started_s=time.time() - elapsed_s, steps=None
    ).progress
    bar: RenderableType = ""
    count = left = ""
    if progress:
        bar = ProgressBar(total=progress.total, completed=progress.done, width=24)
        count = render_progress(progress)
        left = f"{render_estimate(progress.estimate(elapsed_s))} left"
    return [
        Text(in_line(attempt.label)),
        Text(attempt.task, "cyan"),
        bar,
        Text(count),
        Text(duration(elapsed_s)),
        Text(left, "dim"),
    ]
