"""`gitorch logs`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import prints
from gitorch.cli.style import in_line, say, without_controls


@prints
def command(
    run: RunArgument,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="T",
            help="Print the log of this task only.",
            autocompletion=offers.tasks,
        ),
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option(
            "--attempt", metavar="N", help="Print this attempt instead of the last."
        ),
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--lines",
            metavar="N",
            help="Print only the last N lines of each log.",
            min=0,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Continue until the run stops.")
    ] = False,
) -> None:
    """Print the raw output of a run.

    On a terminal its colours are kept, and other control sequences are left out.
    """
    from gitorch.actions.logs import explain_no_log, logs

    is_terminal = sys.stdout.isatty()
    is_first = True
    site = site_here()
    has_log = False
    for part in logs(
        site, run, task=task, attempt=attempt, follow=follow, lines=lines
    ):
        has_log = True
        if part.begins and task is None:
            origin = f" of run {part.source}" if part.source else ""
            if not is_first:
                say()
            say(f"==> {in_line(part.task)}, attempt {part.attempt}{origin} <==")
            is_first = False
        data = without_controls(part.data) if is_terminal else part.data
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    if not has_log:
        say(in_line(explain_no_log(site, run, task)))
