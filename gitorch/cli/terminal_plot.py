"""Plots in the terminal, drawn with the library plotext."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gitorch.cli.style import in_line
from gitorch.errors import ProgramMissing
from gitorch.model.plot.axis import Axis
from gitorch.model.plot.curves import Panel, segments

# The names that plotext has for them.
_COLORS = ("blue", "orange", "green", "magenta", "cyan", "red")
_MARKERS = (
    "*",
    "+",
    "x",
    "o",
    "#",
    "@",
)  # tell curves apart where there are no colours
_HEIGHT = 18
_MOST_LABELS = 12


def draw_in_terminal(
    panels: Sequence[Panel],
    *,
    width: int,
    height: int,
    log_x: bool,
    log_y: bool,
    colors: bool,
) -> str:
    """Return the panels as text of at most this size each.

    Raises ProgramMissing if plotext is not installed.
    """
    try:
        import plotext
    except ImportError:
        raise ProgramMissing(
            "plots in the terminal need plotext, which is not installed",
            'pip install "plotext>=5.3,<6", or write a picture with --svg FILE',
        ) from None
    texts = []
    for panel in panels:
        plotext.clear_figure()
        plotext.plot_size(width, min(height, _HEIGHT))
        plotext.theme("clear")
        _draw(plotext, panel, log_x=log_x, log_y=log_y, colors=colors)
        text = "\n".join(
            [plotext.build().rstrip("\n"), *_legend(plotext, panel, colors)]
        )
        if not colors:
            text = plotext.uncolorize(text)
        texts.append("\n".join(map(str.rstrip, text.splitlines())))
    plotext.clear_figure()
    return "\n\n".join(texts)


def _draw(
    plotext: Any, panel: Panel, *, log_x: bool, log_y: bool, colors: bool
) -> None:
    """Draw on the figure. plotext has only linear axes here, on which logarithms are drawn."""
    parts = list(_parts(panel, log_x, log_y))
    x_axis = Axis.of([x for *_, xs, _ in parts for x in xs], is_log=log_x)
    y_axis = Axis.of([y for *_, ys in parts for y in ys], is_log=log_y)
    are_marked = len(panel.curves) > 1 and not colors
    for number, xs, ys in parts:
        marker = _marker(number) if are_marked else "braille"
        plotext.plot(
            list(map(x_axis.place, xs)),
            list(map(y_axis.place, ys)),
            marker=marker,
            color=_color(number),
        )
    plotext.title(in_line(panel.title))
    plotext.xlabel(panel.x_label)
    _label(x_axis, plotext.xlim, plotext.xticks)
    _label(y_axis, plotext.ylim, plotext.yticks)


def _parts(
    panel: Panel, log_x: bool, log_y: bool
) -> Iterator[tuple[int, list[float], list[float]]]:
    """Yield the number of the curve, the x and the y of each part without a gap."""
    for number, curve in enumerate(panel.curves):
        for part in segments(curve.points, log_x=log_x, log_y=log_y):
            xs, ys = zip(*part, strict=True)
            yield number, list(xs), list(ys)


def _label(axis: Axis, limit: Any, ticks: Any) -> None:
    limit(axis.place(axis.low), axis.place(axis.high))
    places = [axis.place(tick.value) for tick in axis.ticks]
    ticks(places, [tick.label for tick in axis.ticks])


def _legend(plotext: Any, panel: Panel, colors: bool) -> list[str]:
    """Return the lines below a plot that name its curves."""
    lines = []
    for number, curve in enumerate(panel.curves[:_MOST_LABELS]):
        sign = "──"
        if not colors and len(panel.curves) > 1:
            sign = _marker(number)
        lines.append(
            f"  {plotext.colorize(sign, _color(number))} {in_line(curve.label)}"
        )
    others = len(panel.curves) - _MOST_LABELS
    if others > 0:
        lines.append(f"  … and {others} more")
    return lines


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _marker(number: int) -> str:
    return _MARKERS[number % len(_MARKERS)]
