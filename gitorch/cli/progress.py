"""What `run` shows of its work: off a terminal one line per change; on one, a live view of what runs below them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from gitorch.actions.status import progress_of
from gitorch.cli.style import duration, has_colors, paint, paint_status, plain, say
from gitorch.model.run.announce import (
    Announcement,
    AttemptEnded,
    AttemptStarted,
    Listener,
    Noticed,
    TaskReused,
)
from gitorch.model.run.status import Status

HEARTBEAT_S = 30.0


@contextmanager
def showing() -> Iterator[Listener]:
    """A listener that shows what it hears, on stderr."""
    view: AbstractContextManager[Listener] = _live() if sys.stderr.isatty() else _lines()
    with view as listener:
        yield listener


def render_announcement(heard: Announcement, *, colors: bool) -> str:
    match heard:
        case AttemptStarted():
            number = f" (attempt {heard.number})" if heard.number > 1 else ""
            return f"{heard.run}  {plain(heard.label)}: {heard.task} started{number}"
        case AttemptEnded():
            return "\n".join(_ended(heard, colors=colors))
        case TaskReused():
            status = paint_status(Status.COMPLETE, on=colors)
            return (
                f"{heard.run}  {plain(heard.label)}: {heard.task} {status} from run {heard.source}"
            )
        case Noticed():
            return plain(heard.message)


def _ended(heard: AttemptEnded, *, colors: bool) -> Iterator[str]:
    """A line, and for a failure its reason, place, last lines, and the commands to try again."""
    status = paint_status(heard.status, on=colors)
    took = f" in {duration(heard.duration_s)}"
    if heard.status is Status.WAITING:
        yield f"{heard.run}  {plain(heard.label)}: {heard.task} given back ({plain(str(heard.outcome))})"
        return
    yield f"{heard.run}  {plain(heard.label)}: {heard.task} {status}{took}"
    if heard.status is not Status.ERROR:
        return
    place = f" at {plain(heard.location)}" if heard.location else ""
    yield f"  {paint(plain(str(heard.outcome)), 'red', on=colors)}{place}"
    yield from (f"  {paint('|', 'dim', on=colors)} {plain(line)}" for line in heard.tail)
    yield f"  whole log:  gitorch logs {heard.run} --task {heard.task}"
    yield f"  try again:  gitorch retry {heard.run} && gitorch run"
    yield f"  with a fix: gitorch retry {heard.run} --at HEAD && gitorch run"


@contextmanager
def _lines() -> Iterator[Listener]:
    """One line per change, and a sign of life where long nothing changes."""
    running: dict[tuple[str, str], float] = {}
    last = time.monotonic()
    over = threading.Event()
    colors = has_colors(sys.stderr)

    def listen(heard: Announcement) -> None:
        nonlocal last
        last = time.monotonic()
        _follow(running, heard)
        say(render_announcement(heard, colors=colors))

    def beat() -> None:
        nonlocal last
        while not over.wait(1.0):
            if time.monotonic() - last >= HEARTBEAT_S and running:
                last = time.monotonic()
                longest = duration(last - min(running.values()))
                say(f"{len(running)} running, the longest for {longest}")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield listen
    finally:
        over.set()
        thread.join()


@contextmanager
def _live() -> Iterator[Listener]:
    """The same lines, and below them a table of what runs, drawn anew four times a second."""
    from rich.console import Console  # noqa: PLC0415  40 ms, on a terminal only
    from rich.live import Live  # noqa: PLC0415
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(stderr=True, highlight=False)
    colors = has_colors(sys.stderr)
    running: dict[tuple[str, str], float] = {}
    shown: dict[tuple[str, str], AttemptStarted] = {}
    lock = threading.Lock()

    def draw() -> Table:
        grid = Table.grid(padding=(0, 2))
        with lock:
            attempts = list(shown.items())
        for key, started in attempts:
            elapsed = time.monotonic() - running.get(key, time.monotonic())
            progress = progress_of(started.events)
            done, total = progress or (0.0, 0.0)
            left = duration(elapsed * (total - done) / done) if done else ""
            grid.add_row(
                Text(plain(started.label)),
                Text(started.task, "cyan"),
                ProgressBar(total=total, completed=done, width=24) if progress else Text(""),
                Text(f"{done:g}/{total:g}" if progress else ""),
                Text(duration(elapsed)),
                Text(f"{left} left" if left else "", "dim"),
            )
        return grid

    with Live(get_renderable=draw, console=console, refresh_per_second=4, transient=True):

        def listen(heard: Announcement) -> None:
            with lock:
                _follow(running, heard)
                if isinstance(heard, AttemptStarted):
                    shown[heard.run, heard.task] = heard
                elif isinstance(heard, AttemptEnded):
                    shown.pop((heard.run, heard.task), None)
            if not isinstance(heard, AttemptStarted):
                console.print(
                    Text.from_ansi(render_announcement(heard, colors=colors)), soft_wrap=True
                )

        yield listen


def _follow(running: dict[tuple[str, str], float], heard: Announcement) -> None:
    match heard:
        case AttemptStarted():
            running[heard.run, heard.task] = time.monotonic()
        case AttemptEnded():
            running.pop((heard.run, heard.task), None)
