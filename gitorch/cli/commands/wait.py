"""`gitorch wait`."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    JsonOption,
    NameOption,
    RunsArgument,
    StatusOption,
    TimeoutOption,
    WhereOption,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import EXIT_FAILED, EXIT_OK, guarded, print_json
from gitorch.cli.style import has_colors, in_line, paint_status, say
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted

if TYPE_CHECKING:
    from gitorch.actions.wait import AwaitedRun, Awaiting, Waited

EPILOG = (
    "A run is waited for until it is COMPLETE, failed, killed or held. Without runs, the command "
    "waits for all that are queued or running when it starts. A name stands for all unfinished "
    "runs of that name. If no worker is running, the command gives up after 15 s, unless there is "
    "a --timeout."
)


@guarded
def command(
    runs: RunsArgument = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    exit_status: Annotated[
        bool,
        typer.Option(
            "--exit-status",
            help="Exit with 1 unless all of the runs are COMPLETE at the end.",
        ),
    ] = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Wait until runs have ended."""
    from gitorch.actions.wait import wait

    site = site_here()
    waited = wait(
        site,
        selection_of(runs, where, status, name),
        _say_news,
        notify=lambda note: say(f"note: {in_line(note)}"),
        timeout_s=math.inf if timeout is None else timeout,
    )
    if as_json:
        print_json(waited.to_json())
    else:
        _say_summary(waited)
    return EXIT_FAILED if exit_status and waited.has_failed else EXIT_OK


def _say_news(news: AwaitedRun | Awaiting) -> None:
    from gitorch.actions.wait import AwaitedRun

    if isinstance(news, AwaitedRun):
        say(f"{news.id}  {in_line(news.label)}: {_status(news.status)}")
    elif news.has_worker:
        say(f"waiting for {news}, {_time_left(news)}")
    else:
        say(f"waiting for {news}, but no worker is running: gitorch run --detach")


def _time_left(awaiting: Awaiting) -> str:
    from gitorch.actions.totals_words import UNKNOWN, time_until

    if awaiting.left is None:
        return f"{UNKNOWN} left"
    ends = datetime.now(UTC) + timedelta(seconds=awaiting.left.p50)
    return ", ".join(time_until(ends, awaiting.left))


def _say_summary(waited: Waited) -> None:
    if not waited.runs:
        say("nothing to wait for: no run is queued or running")
        return
    if len(waited.runs) == 1:
        return
    counts = Counter(run.status for run in waited.runs)
    parts = [f"{counts[status]} {status}" for status in Status if counts[status]]
    if counts[None]:
        parts.append(f"{counts[None]} killed")
    say(f"{counted(len(waited.runs), 'run')}: {', '.join(parts)}")


def _status(status: Status | None) -> str:
    import sys

    if status is None:
        return "killed"
    return paint_status(status, on=has_colors(sys.stderr))
