"""The queue and its workers as text, for `status`."""

from __future__ import annotations

from gitorch.actions.status import LiveRun, SiteStatus
from gitorch.cli.style import duration, in_line, local_time, paint_status, table
from gitorch.model.run.estimate import Estimate
from gitorch.model.text.phrases import counted

_HEADER = ["id", "run", "status", "task", "progress", "elapsed", "left", "why"]


def render_status(status: SiteStatus, *, colors: bool) -> str:
    """Return the counts, the live runs with the reasons why they wait, and the workers."""
    counts = []
    for state, count in status.counts.items():
        if count:
            counts.append(f"{count} {paint_status(state, on=colors)}")
    summary = ", ".join(counts) or "no runs yet"
    if status.eta:
        summary += f"; about {render_estimate(status.eta)} left"
    lines = [summary]
    if status.runs:
        rows = [_live_cells(run, colors) for run in status.runs]
        lines += ["", *table(rows, header=_HEADER, colors=colors)]
    if status.workers:
        lines.append("")
    for live in status.workers:
        worker = live.worker
        lines.append(
            f"worker {worker.host}:{worker.pid}, since {local_time(worker.since)}, "
            f"{counted(live.tasks, 'task')}"
        )
    return "\n".join(lines)


def render_estimate(estimate: Estimate) -> str:
    """Return an estimate as `2m10s to 3m00s`.

    The time is less than the first figure in one case out of two, and less than the second in four
    cases out of five.
    """
    half, most = duration(estimate.p50), duration(estimate.p80)
    if half == most:
        return half
    return f"{half} to {most}"


def _live_cells(run: LiveRun, colors: bool) -> list[str]:
    progress = ""
    if run.progress:
        done, total = run.progress
        progress = f"{done:g}/{total:g}"
    left = render_estimate(run.eta) if run.eta else ""
    return [
        run.id,
        in_line(run.label),
        paint_status(run.status, on=colors),
        run.task or "",
        progress,
        duration(run.elapsed_s),
        left,
        in_line(run.why or ""),
    ]
