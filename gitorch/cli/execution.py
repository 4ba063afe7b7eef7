"""The execution of runs with a view of their progress, for run, rerun and demo."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitorch.actions.jobs import jobs_of
from gitorch.actions.run import Worked, run
from gitorch.cli.boundary import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from gitorch.cli.progress import showing
from gitorch.cli.style import has_colors, say
from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted, some
from gitorch.storage.site import Site

if TYPE_CHECKING:
    from gitorch.cli.background import BackgroundWorker
    from gitorch.cli.notifications import Notifier
    from gitorch.database.values import Worker
    from gitorch.model.run.announcement import Listener


def execute(
    site: Site,
    references: Sequence[str],
    jobs: str | None,
    *,
    stop_after: int | None = None,
    watch: bool = False,
    reuse: bool = True,
    background: BackgroundWorker | None = None,
    notify: str | None = None,
) -> Worked:
    """Execute queued tasks, of these runs only if any are named, and show their progress.

    A worker in the background leaves the terminal when it begins to work. The command `notify` is
    run at each failure and at the end.
    """
    engine = site.settings.engine
    count = jobs_of(jobs, site, engine=engine)
    shown = showing(site) if background is None else background.showing()
    with shown as listener:
        notifier = _notifier(site, notify, listener)

        def begin(worker: Worker) -> None:
            if background is not None:
                background.begin(site, worker)
            if notifier is not None:
                notifier.begin()

        def work() -> Worked:
            return run(
                site,
                references,
                listener if notifier is None else notifier.listen,
                jobs=count,
                environment=os.environ,
                engine=engine,
                stop_after=stop_after,
                watch=watch,
                reuse=reuse,
                begin=begin,
                detaches=background is not None,
            )

        return work() if notifier is None else notifier.accompany(work)


def _notifier(
    site: Site, command: str | None, listener: Listener
) -> Notifier | None:
    if command is None:
        return None
    if not command.strip():
        raise UsageError("--notify needs a command")
    from gitorch.cli.notifications import Notifier  # with tempfile

    return Notifier(site, command, listener)


def exit_code(worked: Worked) -> int:
    if worked.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if worked.failed else EXIT_OK


def say_failures(worked: Worked) -> None:
    """Say why runs failed: the similar failures together, and what to do about them."""
    if worked.failures:
        from gitorch.cli.render_failures import render_failures

        say(render_failures(worked.failures, colors=has_colors(sys.stderr)))


def say_summary(worked: Worked) -> None:
    """Say how many runs were executed, how they ended, and why those that failed did so."""
    say_failures(worked)
    if worked.killed:
        say(
            f"{counted(len(worked.killed), 'run')} killed: {some(list(worked.killed))}"
        )
    if not worked.runs:
        if worked.killed:
            return
        say(
            "stopped" if worked.interrupted else "nothing to do: no task can be run"
        )
        return
    counts = Counter(run_end.status for run_end in worked.runs)
    statuses = ", ".join(f"{counts[s]} {s}" for s in Status if counts[s])
    interrupted = (
        "; stopped, the rest waits in the queue" if worked.interrupted else ""
    )
    say(f"{counted(len(worked.runs), 'run')}: {statuses}{interrupted}")
