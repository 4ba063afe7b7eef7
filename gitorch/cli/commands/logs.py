"""`gitorch logs`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import RunArgument, site_here
from gitorch.cli.boundary import prints
from gitorch.cli.style import in_line, say, without_controls

if TYPE_CHECKING:
    from gitorch.actions.logs import LogPart


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
    from gitorch.cli.pager import paged

    site = site_here()
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
