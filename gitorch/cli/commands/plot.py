"""`gitorch plot`."""

from __future__ import annotations

import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitorch.cli.arguments import (
    NameOption,
    RunsArgument,
    StatusOption,
    WhereOption,
    say_none_selected,
    selection_of,
    site_here,
)
from gitorch.cli.boundary import prints
from gitorch.cli.style import has_colors, in_line, put, say
from gitorch.errors import Refused

if TYPE_CHECKING:
    from gitorch.actions.plot import Plot


class Across(StrEnum):
    """The values of `--x`."""

    STEP = "step"
    TIME = "time"


class LogScale(StrEnum):
    """The values of `--log`."""

    X = "x"
    Y = "y"
    BOTH = "xy"


MetricOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="Draw this metric; by default all with a curve. Repeatable.",
    ),
]
SvgOption = Annotated[
    Path | None,
    typer.Option(
        "--svg", metavar="FILE", help="Write a picture instead. -: to stdout."
    ),
]
XOption = Annotated[
    Across,
    typer.Option(
        "--x",
        help="Draw over the steps, or over the seconds since the first value.",
    ),
]
LogOption = Annotated[
    LogScale | None,
    typer.Option("--log", help="Make these axes logarithmic."),
]


@prints
def command(
    runs: RunsArgument = None,
    metric: MetricOption = None,
    where: WhereOption = None,
    status: StatusOption = None,
    name: NameOption = None,
    x: XOption = Across.STEP,
    log: LogOption = None,
    svg: SvgOption = None,
) -> None:
    """Draw the curves of metrics, in the terminal or as a picture.

    Without an ID, the latest run is drawn. A plot in the terminal needs the extra [plot].
    """
    from gitorch.actions.plot import find_curves

    site = site_here()
    plot = find_curves(
        site,
        selection_of(runs, where, status, name),
        metric or (),
        by_time=x is Across.TIME,
        environment=os.environ,
    )
    if not plot.panels:
        say_none_selected(site, where)
        return
    if svg is None:
        _print(plot, log)
    else:
        _write(plot, log, svg)
    for note in plot.notes:
        say(f"note: {in_line(note)}")


def _print(plot: Plot, log: LogScale | None) -> None:
    from gitorch.cli.terminal_plot import draw_in_terminal

    size = shutil.get_terminal_size((80, 24))
    text = draw_in_terminal(
        plot.panels,
        width=size.columns,
        height=max(size.lines - 2, 10),
        log_x=log in (LogScale.X, LogScale.BOTH),
        log_y=log in (LogScale.Y, LogScale.BOTH),
        colors=has_colors(sys.stdout),
    )
    put(text)


def _write(plot: Plot, log: LogScale | None, path: Path) -> None:
    from gitorch.model.plot.svg import draw
    from gitorch.tools.files import write_aside

    picture = draw(
        plot.panels,
        log_x=log in (LogScale.X, LogScale.BOTH),
        log_y=log in (LogScale.Y, LogScale.BOTH),
        is_file=True,
    )
    if str(path) == "-":
        put(picture.rstrip("\n"))
        return
    try:
        write_aside(path, picture.encode())
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {in_line(str(path))}")
