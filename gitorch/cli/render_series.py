"""Series as text and as CSV, for `metrics`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from gitorch.cli.sparkline import can_show_sparklines, sparkline
from gitorch.cli.style import in_line, number, table, visible
from gitorch.model.run.series import Number, Series

_LINES = 10_000  # of a table are written at once


def render_overview(series: Mapping[str, Series], *, colors: bool) -> str:
    """Return a table with a row for each series. On a terminal, a row has a sparkline."""
    header = ["metric", "points", "steps", "lowest", "highest", "last"]
    with_curves = can_show_sparklines()
    if with_curves:
        header.append("")
    rows = []
    for one in series.values():
        row = [in_line(one.name), str(one.total), _range(one), *_extremes(one)]
        row.append(number(one.values[-1] if one.values else None))
        if with_curves:
            row.append(sparkline(one))
        rows.append(row)
    return "\n".join(table(rows, header=header, colors=colors))


def _range(series: Series) -> str:
    steps = [step for step in series.steps if step is not None]
    if not steps:
        return ""
    return f"{number(min(steps))}-{number(max(steps))}"


def _extremes(series: Series) -> list[str]:
    finite = [value for value in series.values if value is not None]
    if not finite:
        return ["", ""]
    return [number(min(finite)), number(max(finite))]


def render_points(series: Iterable[Series], *, colors: bool) -> Iterator[str]:
    """Yield the values of each series, with their steps and times, as text."""
    is_first = True
    for one in series:
        rows = []
        for step, value, seconds in one.points:
            text = "" if step is None else number(step)
            rows.append([text, number(value), _time(seconds)])
        header = ["step", in_line(one.name), "time"]
        lines = table(rows, header=header, colors=colors)
        if not is_first:
            yield "\n"
        is_first = False
        for start in range(0, len(lines), _LINES):
            yield "\n".join(lines[start : start + _LINES]) + "\n"


def _time(seconds: Number) -> str:
    """Return the local time of a measurement; an unknown or impossible one is empty."""
    if seconds is None:
        return ""
    try:
        moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def render_series_csv(series: Iterable[Series]) -> Iterator[str]:
    """Yield the values as CSV. A missing step, time or finite value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("metric", "step", "value", "seconds"))
    for one in series:
        name = visible(one.name)
        for count, (step, value, seconds) in enumerate(one.points, 1):
            writer.writerow((name, step, value, seconds))
            if count % _LINES == 0:
                yield text.getvalue()
                text.seek(0)
                text.truncate()
    yield text.getvalue()
