"""The queue and its workers as text, for `status`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from gitorch.actions.status import LiveRun, LiveWorker, SiteStatus
from gitorch.cli.fit import Column, fitted_table, joined_within
from gitorch.cli.style import duration, in_line, local_time, paint_status
from gitorch.cli.totals import render_estimate, totals_line
from gitorch.model.run.failures import same_reason
from gitorch.model.run.progress import Progress
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted

_COLUMNS = [
    Column("id", 0),
    Column("run", 1, is_text=True, keeps_end=True),
    Column("status", 2),
    Column("task", 5, is_text=True),
    Column("progress", 3),
    Column("elapsed", 7),
    Column("left", 4),
    Column("why", 6, is_text=True),
]
_TASK = 3  # its column

# Runs in the table; `--json` has all of them.
_MOST_WAITING = 5
_MOST_SIMILAR = 3
_MOST_CAUSES = 10
# The line of a worker's tasks, without a terminal; the table above it has all of them.
_WIDTH = 200


def render_status(
    status: SiteStatus, *, width: int | None = None, colors: bool
) -> str:
    """Return the live runs with the reasons why they wait, the workers, and the counts.

    Runs that need no look are only counted: of similar failures and of the runs that are held or
    waiting, the first few are shown. `width` is the width of the terminal, if the table has to fit
    on one.
    """
    lines = _live_runs(status.runs, width, colors)
    labels = {run.id: in_line(run.label) for run in status.runs}
    for live in status.workers:
        lines += _worker_lines(live, labels, width)
    if status.workers:
        lines.append("")
    counts = []
    for state, count in status.counts.items():
        if count:
            counts.append(f"{count} {paint_status(state, on=colors)}")
    summary = ", ".join(counts) or "no runs yet"
    lines.append(summary)
    if status.totals.running or status.totals.waiting:
        lines.append(totals_line(status, colors=colors))
    return "\n".join(lines)


def _worker_lines(
    live: LiveWorker, labels: Mapping[str, str], width: int | None
) -> Iterator[str]:
    """Yield a line about the worker, and one that says what it runs."""
    worker = live.worker
    where = " in the background" if live.log else ""
    stopping = ", stopping" if live.is_stopping else ""
    yield (
        f"worker {in_line(worker.host)}:{worker.pid}{where}, "
        f"since {local_time(worker.since)}, {counted(len(live.tasks), 'task')}{stopping}"
    )
    if live.tasks:
        tasks = [
            f"{task} of {labels.get(run_id, run_id)}" for run_id, task in live.tasks
        ]
        yield joined_within("  ", tasks, ", ", width or _WIDTH)


def _live_runs(
    runs: Sequence[LiveRun], width: int | None, colors: bool
) -> list[str]:
    """Return a table of the runs that are shown, with a line for those that are only counted."""
    rows = []
    more = {}  # by the number of rows before the line
    for part in _parts(runs):
        rows += [_live_cells(run, colors) for run in part.shown]
        if part.more:
            more[len(rows)] = f"… and {part.more} more {part.what}"
    if not rows:
        return []
    columns = _COLUMNS
    if width is not None:
        columns, rows = _concise(rows)
    fitted = fitted_table(rows, columns, width=width, colors=colors)
    header, *aligned = fitted.lines
    lines = [header]
    for number, line in enumerate(aligned, start=1):
        lines.append(line)
        if number in more:
            lines.append(more[number])
    if fitted.dropped:
        shown_by = "gitorch status | cat"
        lines.append(f"not shown, see {shown_by}: {', '.join(fitted.dropped)}")
    return [*lines, ""]


def _concise(
    rows: Sequence[Sequence[str]],
) -> tuple[list[Column], list[list[str]]]:
    """Return the columns in which a run has something, which leaves more room for the reasons.

    A reason does not repeat the name of the task, which has a column.
    """
    shown = []
    for *cells, why in rows:
        shown.append([*cells, why.removeprefix(f"{cells[_TASK]}: ")])
    filled = [any(cells) for cells in zip(*shown, strict=True)]
    kept = [list(compress(row, filled)) for row in shown]
    return list(compress(_COLUMNS, filled)), kept


class _Part(NamedTuple):
    """Runs that belong together: those that are shown, and the number of the others."""

    shown: Sequence[LiveRun]
    more: int
    what: str  # they are


def _parts(runs: Sequence[LiveRun]) -> Iterator[_Part]:
    """Yield the running runs, the failed runs by their causes, the held and the waiting runs."""
    by_status: dict[Status, list[LiveRun]] = {}
    for run in runs:
        by_status.setdefault(run.status, []).append(run)
    yield _Part(by_status.get(Status.RUNNING, []), 0, "")
    unshown = 0
    for number, similar in enumerate(_by_cause(by_status.get(Status.ERROR, []))):
        if number < _MOST_CAUSES:
            yield _first(similar, _MOST_SIMILAR, "failed in the same way")
        else:
            unshown += len(similar)
    yield _Part((), unshown, "failed")
    for status, what in ((Status.HOLD, "held"), (Status.WAITING, "waiting")):
        yield _first(by_status.get(status, []), _MOST_WAITING, what)


def _first(runs: Sequence[LiveRun], most: int, what: str) -> _Part:
    return _Part(runs[:most], max(0, len(runs) - most), what)


def _by_cause(runs: Sequence[LiveRun]) -> list[list[LiveRun]]:
    """Return the failed runs by task and reason, the most frequent cause first."""
    causes: dict[tuple[str, str], list[LiveRun]] = {}
    for run in runs:
        cause = (run.task or "", same_reason(run.why or ""))
        causes.setdefault(cause, []).append(run)
    return sorted(causes.values(), key=len, reverse=True)


def _live_cells(run: LiveRun, colors: bool) -> list[str]:
    left = why = ""
    if run.status is Status.RUNNING or run.eta is not None:
        left = render_estimate(run.eta)
    if run.why is not None:
        why = in_line(run.why)
    elif run.eta is not None and run.eta.source is not None:
        why = f"time left {run.eta.source}"
    return [
        run.id,
        in_line(run.label),
        paint_status(run.status, on=colors),
        run.task or "",
        render_progress(run.progress),
        duration(run.elapsed_s),
        left,
        why,
    ]


def render_progress(progress: Progress | None) -> str:
    if progress is None:
        return ""
    return f"{progress.done:g}/{progress.total:g}"
