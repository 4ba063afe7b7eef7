"""Runs as text: one run, what differs, how things stand."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitorch.actions.compare import Compared
from gitorch.actions.status import LiveRun, SiteStatus
from gitorch.cli.style import (
    display_width,
    duration,
    local_time,
    number,
    one_line,
    padded,
    paint,
    paint_status,
    plain,
    table,
)
from gitorch.model.run.compare import CodeDifference, OutputDifference, ValueDifference
from gitorch.model.run.estimate import Estimate
from gitorch.model.run.pin import Origin
from gitorch.model.run.record import Record, TaskRecord
from gitorch.model.run.spec import render_value
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted

_COMMIT = 10
_DIGEST = 12  # as many digits tell two contents apart; --json gives all
_MAX_NAMED = 20  # commits, files and outputs; --code, --stat and --json give all
SECTIONS = ("code", "config", "environment", "data", "metrics", "outputs")


def render_run(record: Record, why: str | None, origins: Mapping[str, str], *, colors: bool) -> str:
    """Everything about one run that fits a screen; of tasks with `cache` also, by id, where their results come from."""
    rows = [
        ("why", plain(why or "")),
        ("name", record.label),
        ("config", record.source),
        ("extends", ", ".join(record.bases)),
        ("changed by", " ".join(f"-S {shlex.quote(text)}" for text in record.overrides)),
        (
            "commit",
            record.pin.commit
            + (
                " (a snapshot of uncommitted files)" if record.pin.origin is Origin.SNAPSHOT else ""
            ),
        ),
        ("created", local_time(record.created)),
        ("started", local_time(record.started)),
        ("ended", local_time(record.ended)),
        ("took", duration(record.duration_s)),
        ("rerun of", record.rerun_of or ""),
        ("python", f"{record.environment.get('python', '')} {record.interpreter}".strip()),
        ("output", record.output_name or ""),
    ]
    told = [
        ("status", paint_status(record.status, on=colors)),
        *((key, plain(value)) for key, value in rows),
    ]
    lines = [
        f"{paint(record.id, 'bold', on=colors)}",
        *_aligned((key, value) for key, value in told if value),
    ]
    lines += _section(
        "params", ((key, render_value(value)) for key, value in record.spec.params.items()), colors
    )
    lines += ["", paint("tasks", "bold", on=colors), *_tasks(record, origins, colors)]
    lines += _section(
        "metrics", ((key, number(value)) for key, value in record.metrics.items()), colors
    )
    inputs = (
        (entry.path, f"{_files(entry.files)}{size(entry.size)}  sha256 {entry.sha256[:_DIGEST]}")
        for entry in record.data
    )
    lines += _section("inputs", inputs, colors)
    outputs = (
        (
            output.path,
            f"{size(output.size)}{'  large file' if output.stored == 'lfs' else ''}  by {output.task}",
        )
        for output in record.outputs
    )
    lines += _section("outputs", outputs, colors)
    discarded = (
        (found.glob, f"{_files(found.files)}{size(found.size)}  by {found.task}")
        for found in record.discarded
    )
    lines += _section("discarded", discarded, colors)
    history = (
        (
            local_time(change.at),
            f"{change.source or 'new'} -> {change.target}  by {change.by}"
            + (f": {change.why}" if change.why else ""),
        )
        for change in record.history
    )
    lines += _section("history", history, colors)
    return "\n".join(lines)


def render_comparison(compared: Compared, sections: Sequence[str], *, colors: bool) -> str:
    """Only what differs, of these `sections`; of metrics also by how much."""
    comparison = compared.comparison
    letters = [chr(ord("A") + position) for position in range(len(compared.records))]
    rows = [
        [letter, record.id, paint_status(record.status, on=colors), plain(record.label)]
        for letter, record in zip(letters, compared.records, strict=True)
    ]
    lines = table(rows, header=["", "id", "status", "run"], colors=colors)
    same = [name for name in sections if getattr(comparison, name).same]
    for name in sections:
        if name in same:
            continue
        lines.append("")
        match name:
            case "code":
                lines += _code(comparison.code, letters, colors)
            case "outputs":
                lines += _outputs(comparison.outputs, colors)
            case _:
                lines += _differences(name, getattr(comparison, name), letters, colors)
    if same:
        lines += ["", paint(f"the same: {', '.join(same)}", "dim", on=colors)]
    return "\n".join(lines)


def render_status(status: SiteStatus, *, colors: bool) -> str:
    """Counts, live runs and why they wait, workers, time left."""
    counts = [
        f"{count} {paint_status(state, on=colors)}"
        for state, count in status.counts.items()
        if count
    ]
    lines = [", ".join(counts) or "no runs yet"]
    if status.eta:
        lines[0] += f"; about {estimate(status.eta)} left"
    if status.runs:
        rows = [_live_cells(run, colors) for run in status.runs]
        lines += [
            "",
            *table(
                rows,
                header=["id", "run", "status", "task", "progress", "elapsed", "left", "why"],
                colors=colors,
            ),
        ]
    if status.workers:
        lines.append("")
    lines += [
        f"worker {live.worker.host}:{live.worker.pid}, since {local_time(live.worker.since)}, "
        f"{counted(live.tasks, 'task')}"
        for live in status.workers
    ]
    return "\n".join(lines)


def estimate(left: Estimate) -> str:
    """`2m10s, at most 3m`: half of the time it is less than the first, in four cases out of five than the second."""
    near, far = duration(left.p50), duration(left.p80)
    return near if near == far else f"{near} to {far}"


def size(count: int) -> str:
    """`812 B`, `1.4 MiB`."""
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 1024 or unit == "TiB":
            return f"{amount:.1f} {unit}"
    raise AssertionError("unreachable")


def _files(count: int | None) -> str:
    return "" if count is None else f"{counted(count, 'file')}, "


def _tasks(record: Record, origins: Mapping[str, str], colors: bool) -> list[str]:
    several = len(record.pins) > 1
    return table(
        [_task_cells(task, origins.get(task.id, ""), several, colors) for task in record.tasks],
        header=["  task", "status", "attempts", "took", *(["commit"] if several else []), ""],
        colors=False,
    )


def _task_cells(task: TaskRecord, origin: str, with_commit: bool, colors: bool) -> list[str]:
    last = task.attempts[-1] if task.attempts else None
    told = str(last.outcome) if last and task.status is Status.ERROR else origin
    if last and last.modified:
        told += f" (changed tracked files: {', '.join(last.modified)})"
    if last and last.notes:
        told += f" ({'; '.join(last.notes)})"
    return [
        f"  {task.id}",
        paint_status(task.status, on=colors),
        str(task.attempt_count or ""),
        duration(last.duration_s if last else None),
        *([task.pin.commit[:_COMMIT]] if with_commit else []),
        plain(told),
    ]


def _section(title: str, rows: Iterable[tuple[str, str]], colors: bool) -> list[str]:
    lines = _aligned((plain(key), plain(value)) for key, value in rows)
    return ["", paint(title, "bold", on=colors), *lines] if lines else []


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    found = [(one_line(key), one_line(value)) for key, value in rows]
    width = max((display_width(key) for key, _ in found), default=0)
    return [f"  {padded(key, width)}  {value}".rstrip() for key, value in found]


def _code(code: CodeDifference, letters: Sequence[str], colors: bool) -> list[str]:
    lines = [paint("code", "bold", on=colors)]
    lines += [
        f"  differs; commit {commit[:_COMMIT]} is not in this clone" for commit in code.missing
    ]
    lines += [
        f"  {commit.oid[:_COMMIT]}  {plain(commit.subject)}" for commit in code.commits[:_MAX_NAMED]
    ]
    lines += _more(len(code.commits), "commits")
    files = [
        [
            f"  {file.status}",
            plain(file.path),
            "binary" if file.added is None else f"+{file.added} -{file.deleted}",
        ]
        for file in code.files[:_MAX_NAMED]
    ]
    lines += [
        *table(files, header=["", "", ""], colors=False)[1:],
        *_more(len(code.files), "files"),
    ]
    if code.tasks:
        ran = [
            [f"  {task}", *(commit[:_COMMIT] if commit else "-" for commit in at)]
            for task, at in code.tasks.items()
        ]
        lines += table(ran, header=["  at", *letters], colors=False)
    return lines


def _outputs(outputs: OutputDifference, colors: bool) -> list[str]:
    lines = [paint("outputs", "bold", on=colors)]
    for mark, paths in (
        ("changed", outputs.changed),
        ("added", outputs.added),
        ("removed", outputs.removed),
    ):
        lines += [f"  {mark.ljust(7)}  {one_line(plain(path))}" for path in paths[:_MAX_NAMED]]
        lines += _more(len(paths), mark)
    return lines


def _more(count: int, what: str) -> list[str]:
    return [f"  and {count - _MAX_NAMED} more {what}"] if count > _MAX_NAMED else []


def _differences(
    title: str, difference: ValueDifference, letters: Sequence[str], colors: bool
) -> list[str]:
    changes, show = (["change"], number) if title == "metrics" else ([], render_value)
    rows = []
    for key, values in difference.changed.items():
        shown = [value and value[:_DIGEST] for value in values] if title == "data" else values
        cells = ["-" if value is None else plain(show(value)) for value in shown]
        rows.append([f"  {plain(key)}", *cells, *(_change(values[0], values[-1]) for _ in changes)])
    return table(rows, header=[title, *letters, *changes], colors=colors)


def _change(first: Any, last: Any) -> str:
    if not isinstance(first, int | float) or not isinstance(last, int | float):
        return ""
    share = f", {(last - first) / abs(first):+.1%}" if first else ""
    return f"{last - first:+.6g}{share}"


def _live_cells(run: LiveRun, colors: bool) -> list[str]:
    progress = ""
    if run.progress:
        done, total = run.progress
        progress = f"{done:g}/{total:g}"
    return [
        run.id,
        plain(run.label),
        paint_status(run.status, on=colors),
        run.task or "",
        progress,
        duration(run.elapsed_s),
        estimate(run.eta) if run.eta else "",
        plain(run.why or ""),
    ]
