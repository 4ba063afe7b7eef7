"""`gitorch metrics`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.arguments import JsonOption, RunArgument, site_here
from gitorch.cli.boundary import print_json, prints
from gitorch.cli.style import has_colors, in_line, printable, say
from gitorch.errors import UsageError

if TYPE_CHECKING:
    from gitorch.actions.series import RunSeries

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Metrics, by default all."),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="T",
        help="Print the metrics of this task only.",
        autocompletion=offers.tasks,
    ),
]
AttemptOption = Annotated[
    int | None,
    typer.Option(
        "--attempt", metavar="N", help="Print this attempt instead of the last."
    ),
]
PointsOption = Annotated[
    int | None,
    typer.Option(
        "--points",
        metavar="N",
        help="Print at most N values of each metric, and keep its peaks.",
        min=16,
    ),
]


@prints
def command(
    run: RunArgument,
    names: NamesArgument = None,
    task: TaskOption = None,
    attempt: AttemptOption = None,
    points: PointsOption = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the values as CSV.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the metrics of a run, with every value.

    A value has its step and its time. Without a NAME, the text has a line for each metric. Times
    are in seconds of Unix time in CSV and JSON. A metric in a JSON file has its last value only.
    """
    from gitorch.actions.series import POINTS, find_series

    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other")
    site = site_here()
    names = names or []
    if points is None and not any([names, as_csv, as_json]):
        points = POINTS
    found = find_series(
        site,
        run,
        names=names,
        task=task,
        attempt=attempt,
        points=points,
        environment=os.environ,
    )
    for note in found.notes:
        say(f"note: {in_line(note)}")
    if as_json:
        print_json(found.to_json())
    elif not found.series:
        say(f"{in_line(found.record.label)} has no metrics")
    else:
        _print(_texts(found, names, as_csv=as_csv))


def _texts(
    found: RunSeries, names: Sequence[str], *, as_csv: bool
) -> Iterable[str]:
    from gitorch.cli.render_series import (
        render_overview,
        render_points,
        render_series_csv,
    )
    from gitorch.model.table.fields import metric_named

    series = found.series
    if as_csv:
        return render_series_csv(series.values())
    colors = has_colors(sys.stdout)
    if not names:
        return [render_overview(series, colors=colors), "\n"]
    chosen = dict.fromkeys(metric_named(name, series) or name for name in names)
    return render_points([series[name] for name in chosen], colors=colors)


def _print(texts: Iterable[str]) -> None:
    from gitorch.cli.pager import paged

    with paged(site_here().repository, is_table=True) as out:
        for text in texts:
            shown = printable(text, sys.stdout)
            out.write(shown.encode(sys.stdout.encoding, "gitorch"))
