"""The display of `run` and `status --watch` on a terminal: running tasks, failures, totals."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.actions.failures import FailureGroup
from gitorch.actions.status import LiveRun, SiteStatus
from gitorch.cli.announcements import render_reason
from gitorch.cli.fit import Column, fitted_table
from gitorch.cli.render_status import render_progress
from gitorch.cli.style import duration, in_line, paint
from gitorch.cli.totals import render_estimate, totals_line
from gitorch.model.run.progress import LastMetric
from gitorch.model.run.spec import render_value
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted

_BAR = 16  # cells
_MOST_FAILURES = 4
# Without titles. The numbers say in which order columns are dropped, the highest first.
_COLUMNS = [
    Column("", 0, is_text=True),  # label
    Column("", 6, is_text=True),  # task
    Column("", 4),  # bar
    Column("", 3),  # progress
    Column("", 5, is_text=True),  # metric
    Column("", 7),  # elapsed
    Column("", 2),  # time left
]


def overview_lines(
    status: SiteStatus,
    failures: Sequence[FailureGroup],
    *,
    columns: int,
    rows: int,
    colors: bool,
) -> list[str]:
    """Return at most `rows` lines. The last one has the totals.

    The lines of failures give way to running tasks, and both to the totals.
    """
    running = [run for run in status.runs if run.status is Status.RUNNING]
    room = rows - 1
    groups = failures[
        : min(_MOST_FAILURES, max(0, room - 1 - min(len(running), 2)))
    ]
    lines = _running(running, room - len(groups), columns, colors)
    lines += [_failure(group, colors) for group in groups]
    return [*lines, totals_line(status, colors=colors)]


def _running(
    running: Sequence[LiveRun], room: int, columns: int, colors: bool
) -> list[str]:
    if not running or room < 1:
        return []
    shown, more = running, 0
    if len(running) > room:
        shown = running[: room - 1]
        more = len(running) - len(shown)
    lines = []
    if shown:
        rows = [_cells(run, colors) for run in shown]
        table = fitted_table(rows, _COLUMNS, width=columns - 1, colors=False)
        lines = table.lines[1:]
    if more:
        lines.append(f"… and {more} more running")
    return lines


def _cells(run: LiveRun, colors: bool) -> list[str]:
    return [
        in_line(run.label),
        paint(in_line(run.task or ""), "cyan", on=colors),
        render_bar(run.share, colors=colors),
        render_progress(run.progress),
        _metric(run.metric),
        duration(run.elapsed_s),
        paint(f"{render_estimate(run.eta)} left", "dim", on=colors),
    ]


def render_bar(share: float | None, *, colors: bool) -> str:
    """Return a bar such as `████████░░░░░░░░`, without a bar if the share is unknown."""
    if share is None:
        return ""
    done = int(min(max(share, 0.0), 1.0) * _BAR)
    return paint("█" * done, "green", on=colors) + "░" * (_BAR - done)


def _metric(metric: LastMetric | None) -> str:
    if metric is None:
        return ""
    value = "nan" if metric.value is None else f"{metric.value:.4g}"
    return f"{in_line(metric.name)}={value}"


def _failure(group: FailureGroup, colors: bool) -> str:
    """Return `8 runs: ZeroDivisionError at train.py:22, all with lr=1.0 depth=5`."""
    runs = counted(len(group.similar.run_ids), "run")
    reason = render_reason(group.similar.first, colors=False)
    line = f"{runs}: {reason}"
    if len(group.similar.run_ids) > 1 and group.common:
        values = []
        for key, value in group.common.items():
            values.append(f"{in_line(key)}={in_line(render_value(value))}")
        line += f", all with {' '.join(values)}"
    return paint(line, "red", on=colors)
