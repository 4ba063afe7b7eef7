"""One run as text, for `show`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping

from gitorch.cli.render_code import changed_files
from gitorch.cli.style import (
    display_width,
    duration,
    in_line,
    local_time,
    number,
    one_line,
    padded,
    paint,
    paint_status,
    say,
    table,
)
from gitorch.model.run.compare import SnapshotChanges
from gitorch.model.run.pin import Origin
from gitorch.model.run.record import (
    Attempt,
    Change,
    Data,
    Discarded,
    Output,
    Record,
    TaskRecord,
)
from gitorch.model.run.spec import render_value
from gitorch.model.run.status import Status
from gitorch.model.text.phrases import counted

_COMMIT = 10
_DIGEST = 12  # as many digits tell two contents apart; --json prints all

_WIDEST = 48  # cells
_MOST_FILES = 20
_LONGEST_RESULT = 200  # characters

Row = tuple[str, str]


def render_run(
    record: Record,
    why: str | None,
    origins: Mapping[str, str],
    *,
    is_foreign: bool = False,
    snapshot: SnapshotChanges | None = None,
    curves: Mapping[str, str] | None = None,
    colors: bool,
) -> str:
    """Return the description of one run, short enough for a screen.

    `why` is the reason why the run waits. `origins` are the origins of the results of cached tasks,
    by task id. If the run `is_foreign`, the description has what it would execute if it were
    adopted. `snapshot` has the uncommitted changes that are part of the run's code.
    `curves` are the sparklines of metrics by name.
    """
    params = [
        (key, render_value(value)) for key, value in record.spec.params.items()
    ]
    lines = [
        paint(record.id, "bold", on=colors),
        *_aligned(_facts(record, why, colors)),
        *_snapshot(snapshot, colors),
        *_section("params", params, colors),
        "",
        paint("tasks", "bold", on=colors),
        *_tasks(record, origins, colors),
        *_section("executes", _executed(record) if is_foreign else [], colors),
        *_section("results", _results(record), colors),
        *_section("metrics", _metrics(record, curves or {}), colors),
        *_section("inputs", map(_input, record.data), colors),
        *_section("linked", _links(record), colors),
        *_section("read without being declared", _undeclared(record), colors),
        *_section("outputs", map(_output, record.outputs), colors),
        *_section("discarded", map(_discarded, record.discarded), colors),
        *_section("history", map(_change, record.history), colors),
    ]
    return "\n".join(lines)


def _metrics(record: Record, curves: Mapping[str, str]) -> list[Row]:
    """Return the last value of each metric, and its sparkline if it has one."""
    values = {name: number(value) for name, value in record.metrics.items()}
    width = max((len(value) for value in values.values()), default=0)
    rows = []
    for name, value in values.items():
        curve = curves.get(name, "")
        rows.append((name, f"{value:{width}}  {curve}".rstrip()))
    return rows


def say_several_pins(record: Record) -> None:
    """Say at which commits the tasks of the run ran, unless all ran at the same one."""
    if record.several_pins:
        say(
            "note: the tasks of this run ran at several commits, this is the newest: "
            + record.several_pins
        )


def _snapshot(snapshot: SnapshotChanges | None, colors: bool) -> list[str]:
    if snapshot is None:
        return []
    title = f"uncommitted files, on {snapshot.parent[:_COMMIT]}"
    files = changed_files(snapshot.files, _MOST_FILES)
    return ["", paint(title, "bold", on=colors), *files]


def _facts(record: Record, why: str | None, colors: bool) -> list[Row]:
    """Return the known facts about the run as a whole."""
    overrides = [f"-S {shlex.quote(text)}" for text in record.overrides]
    commit = record.pin.commit
    if record.pin.origin is Origin.SNAPSHOT:
        commit += " (a snapshot of uncommitted files)"
    facts = [
        ("why", why or ""),
        ("invalid", _invalid(record)),
        ("verified", _verified(record)),
        ("name", record.label),
        ("config", record.source),
        ("extends", ", ".join(record.bases)),
        ("changed by", " ".join(overrides)),
        ("commit", commit),
        ("created", local_time(record.created)),
        ("started", local_time(record.started)),
        ("ended", local_time(record.ended)),
        ("took", duration(record.duration_s)),
        ("rerun of", record.rerun_of or ""),
        ("host", ", ".join(record.hosts)),
        ("python", _python(record)),
        ("output", record.output_name or ""),
    ]
    status = ("status", paint_status(record.status, on=colors))
    return [status, *((name, in_line(value)) for name, value in facts if value)]


def _invalid(record: Record) -> str:
    """Return why the results are not to be trusted, "" if they are."""
    invalidation = record.invalidation
    if invalidation is None:
        return ""
    at = local_time(invalidation.at)
    return f"{invalidation.why}  ({invalidation.by}, {at})"


def _verified(record: Record) -> str:
    """Return the newest verdict on a repetition, "" if there is none."""
    if not record.verdicts:
        return ""
    verdict = record.verdicts[-1]
    words = verdict.verdict
    if verdict.differs:
        words = f"{counted(verdict.differs, 'difference')}"
    if verdict.also:
        words += f", and {', '.join(verdict.also)}"
    other = (
        f"by {verdict.id}" if verdict.of == record.id else f"repeats {verdict.of}"
    )
    earlier = len(record.verdicts) - 1
    more = f"; {counted(earlier, 'earlier verdict')}" if earlier else ""
    return f"{words}  ({other}, {local_time(verdict.at)}){more}"


def _python(record: Record) -> str:
    """Return the version and the path of the Python that tasks ran in, "" if no task did."""
    environment = record.environment
    if environment and "python" not in environment:
        return ""
    path = environment.get("interpreter", record.interpreter)
    return f"{environment.get('python', '')} {path}".strip()


def _tasks(record: Record, origins: Mapping[str, str], colors: bool) -> list[str]:
    with_commit = len(record.pins) > 1
    header = ["  task", "status", "attempts", "took", ""]
    if with_commit:
        header.insert(-1, "commit")
    rows = []
    for task in record.tasks:
        cells = _task_cells(task, origins.get(task.id, ""), colors)
        if with_commit:
            cells.insert(-1, task.pin.commit[:_COMMIT])
        rows.append(cells)
        if len(task.attempts) > 1:
            rows += [
                _attempt_cells(attempt, len(header)) for attempt in task.attempts
            ]
    return table(rows, header=header, colors=False)


def _executed(record: Record) -> list[Row]:
    """Return who queued the run, and the programs and variables that its record chooses."""
    rows = [("clone", record.clone)]
    for task in record.spec.tasks:
        match task.command:
            case None:
                rows.append((task.id, f"class {task.method}"))
            case str(command):
                rows.append((task.id, command))
            case words:
                rows.append((task.id, shlex.join(words)))
    for name, value in record.spec.env.items():
        rows.append((name, value))
    return rows


def _task_cells(task: TaskRecord, origin: str, colors: bool) -> list[str]:
    last = task.attempts[-1] if task.attempts else None
    remark = origin
    took = ""
    if last:
        took = duration(task.duration_s)
        if task.status is Status.ERROR:
            remark = str(last.outcome)
        if last.modified:
            remark += f" (changed tracked files: {', '.join(last.modified)})"
        if last.notes:
            remark += f" ({'; '.join(last.notes)})"
    return [
        f"  {task.id}",
        paint_status(task.status, on=colors),
        str(task.attempt_count or ""),
        took,
        in_line(remark),
    ]


def _attempt_cells(attempt: Attempt, width: int) -> list[str]:
    """Return a line of the table, with `width` cells, that says how the attempt ended."""
    cells = [""] * width
    cells[0] = f"    attempt {attempt.number}"
    cells[3] = duration(attempt.duration_s)
    cells[-1] = in_line(str(attempt.outcome))
    return cells


def _results(record: Record) -> list[Row]:
    """Return what `run()` of each task has returned, long values cut."""
    rows = []
    for task in record.tasks:
        if task.result is not None:
            text = json.dumps(task.result, ensure_ascii=False)
            if len(text) > _LONGEST_RESULT:
                text = f"{text[:_LONGEST_RESULT]}… (--json shows all)"
            rows.append((task.id, text))
    return rows


def _undeclared(record: Record) -> list[Row]:
    """Return the files or directories that no input declares, with the tasks that read them."""
    readers: dict[str, list[str]] = {}
    for task in record.tasks:
        for attempt in task.attempts[-1:]:
            for path in attempt.undeclared:
                readers.setdefault(path, []).append(task.id)
    return [(path, f"by {', '.join(tasks)}") for path, tasks in readers.items()]


def _input(data: Data) -> Row:
    digest = f"sha256 {data.sha256[:_DIGEST]}"
    if data.digest:
        digest = f"{data.digest}, not read"
    if "://" in data.path:
        return data.path, digest
    return data.path, f"{_file_count(data.files)}{size(data.size)}  {digest}"


def _links(record: Record) -> list[Row]:
    return [(link, "not recorded") for link in record.spec.unrecorded_links]


def _output(output: Output) -> Row:
    large = "  large file" if output.stored == "lfs" else ""
    volatile = "  volatile" if output.volatile else ""
    return output.path, f"{size(output.size)}{large}  by {output.task}{volatile}"


def _discarded(discarded: Discarded) -> Row:
    files = _file_count(discarded.files)
    return discarded.glob, f"{files}{size(discarded.size)}  by {discarded.task}"


def _change(change: Change) -> Row:
    text = f"{change.source or 'new'} -> {change.target}  by {change.by}"
    if change.why:
        text += f": {change.why}"
    return local_time(change.at), text


def _file_count(count: int | None) -> str:
    if count is None:
        return ""
    return f"{counted(count, 'file')}, "


def size(count: int) -> str:
    """Return a number of bytes as `812 B` or `1.4 MiB`."""
    if count < 1024:
        return f"{count} B"
    amount = count / 1024
    for unit in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _section(title: str, rows: Iterable[Row], colors: bool) -> list[str]:
    lines = _aligned([(in_line(key), in_line(value)) for key, value in rows])
    if not lines:
        return []
    return ["", paint(title, "bold", on=colors), *lines]


def _aligned(rows: Iterable[Row]) -> list[str]:
    """Return each row as one line, with the values below each other.

    A key that is wider than `_WIDEST` shifts only its own value.
    """
    cells = [(one_line(key), one_line(value)) for key, value in rows]
    widths = [display_width(key) for key, _ in cells]
    width = min(max(widths, default=0), _WIDEST)
    return [f"  {padded(key, width)}  {value}".rstrip() for key, value in cells]
