"""`gitorch logs`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import site_here
from gitorch.cli.boundary import prints
from gitorch.cli.style import in_line, say, without_controls
from gitorch.errors import UsageError

if TYPE_CHECKING:
    from gitorch.actions.logs import LogPart
    from gitorch.actions.worker_output import WorkerOutput
    from gitorch.storage.site import Site


RunOrWorkerArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]",
        help="A run: its id, a prefix of the id, its name or label, NAME~1, @ or @~1. "
        "With --worker, the pid of a worker.",
        autocompletion=offers.runs_for_verb,
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="T",
        help="Print the log of this task only.",
        autocompletion=offers.tasks,
    ),
]
AttemptOption = Annotated[
    int | None,
    typer.Option(
        "--attempt", metavar="N", help="Print this attempt instead of the last."
    ),
]
LinesOption = Annotated[
    int | None,
    typer.Option(
        "-n",
        "--lines",
        metavar="N",
        help="Print only the last N lines of each log.",
        min=0,
    ),
]
FollowOption = Annotated[
    bool,
    typer.Option("-f", "--follow", help="Continue until the run or worker stops."),
]
WorkerOption = Annotated[
    bool,
    typer.Option(
        "--worker",
        help="Print what the workers of run --detach have printed, or the last of them.",
    ),
]


@prints
def command(
    run: RunOrWorkerArgument = None,
    task: TaskOption = None,
    attempt: AttemptOption = None,
    lines: LinesOption = None,
    follow: FollowOption = False,
    worker: WorkerOption = False,
) -> None:
    """Print the raw output of a run.

    On a terminal its colours are kept, and other control sequences are left out.
    """
    if worker:
        _require_no_task(task, attempt)
        _print_workers(site_here(), run, lines=lines, follow=follow)
    elif run is None:
        raise UsageError(
            "which run? gitorch logs ID, or gitorch logs --worker",
            hint="gitorch logs --help",
        )
    else:
        _print_run(
            site_here(),
            run,
            task=task,
            attempt=attempt,
            lines=lines,
            follow=follow,
        )


def _print_run(
    site: Site,
    run: str,
    *,
    task: str | None,
    attempt: int | None,
    lines: int | None,
    follow: bool,
) -> None:
    from gitorch.actions.logs import explain_no_log, logs
    from gitorch.cli.pager import paged

    parts = logs(
        site,
        run,
        task=task,
        attempt=attempt,
        follow=follow,
        lines=lines,
        environment=os.environ,
    )
    first = list(islice(parts, 1))  # what is wrong is reported without a pager
    if not first:
        say(in_line(explain_no_log(site, run, task)))
        return
    whole = chain(first, parts)
    if follow or not sys.stdout.isatty():
        _write(whole, sys.stdout.buffer, with_titles=task is None)
        return
    with paged(site.repository) as out:
        _write(whole, out, with_titles=task is None)


def _require_no_task(task: str | None, attempt: int | None) -> None:
    if task is not None or attempt is not None:
        raise UsageError("--task and --attempt are for runs, not for --worker")


def _print_workers(
    site: Site, name: str | None, *, lines: int | None, follow: bool
) -> None:
    from gitorch.actions.worker_output import worker_output
    from gitorch.cli.pager import paged

    parts = worker_output(site, name, follow=follow, lines=lines)
    whole = chain(list(islice(parts, 1)), parts)
    if follow or not sys.stdout.isatty():
        _write_workers(whole, sys.stdout.buffer)
        return
    with paged(site.repository) as out:
        _write_workers(whole, out)


def _write_workers(parts: Iterable[WorkerOutput], out: IO[bytes]) -> None:
    """Write the parts to `out`, and say to which worker they belong when it changes."""
    is_terminal = sys.stdout.isatty()
    shown = None
    for part in parts:
        if part.pid != shown and (part.begins or part.data):
            state = "" if part.is_alive else ", which has ended"
            title = f"==> worker {part.pid}{state} <=="
            if is_terminal:
                out.write(f"{title}\n".encode())
            else:
                say(title)
            shown = part.pid
        out.write(without_controls(part.data) if is_terminal else part.data)
        out.flush()


def _write(parts: Iterable[LogPart], out: IO[bytes], *, with_titles: bool) -> None:
    """Write the parts to `out`, and the titles of the attempts to the terminal or to stderr."""
    is_terminal = sys.stdout.isatty()
    is_first = True
    for part in parts:
        if part.begins and with_titles:
            origin = f" of run {part.source}" if part.source else ""
            title = f"==> {in_line(part.task)}, attempt {part.attempt}{origin} <=="
            if not is_first:
                title = f"\n{title}"
            if is_terminal:
                out.write(f"{title}\n".encode())
            else:
                say(title)
            is_first = False
        out.write(without_controls(part.data) if is_terminal else part.data)
        out.flush()
