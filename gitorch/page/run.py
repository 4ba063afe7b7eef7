"""One run: its config, code, tasks, log, curves, outputs, environment, data and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.code_of_run import CommitText, commit_text
from gitorch.actions.show import Shown, show
from gitorch.actions.status import status
from gitorch.errors import GitorchError
from gitorch.model.run.record import Attempt, Record, TaskRecord
from gitorch.model.run.status import LIVE, Status
from gitorch.model.table.row import Row
from gitorch.page.acts import possible
from gitorch.page.graph import TaskGraph, task_graph
from gitorch.page.view import Desk, Query, View
from gitorch.page.words import UNKNOWN, cell, size, text

_MOST_OUTPUTS = 200
_MOST_PACKAGES = 1_000


class AttemptLine(Struct, frozen=True, kw_only=True):
    """An attempt of a task, in words."""

    task: str
    number: int
    attempt: Attempt
    is_last: bool


def run(desk: Desk, query: Query) -> View:
    """Return the view of the run that the path names. Raises NotFound, UsageError."""
    shown = show(desk.site, query.path["id"])
    record = shown.record
    row = desk.runs.row(record.id)
    was_attempted = any(task.attempt_count for task in record.tasks)
    related = [] if row is None else _related(desk, row)
    context = {
        "record": record,
        "why": shown.why,
        "label": record.label,
        "verbs": possible(record.status, read_only=desk.read_only),
        "live": _live(desk, record),
        "params": _params(record),
        "swept": set(record.swept),
        "metrics": record.metrics,
        "graph": _graph(record),
        "attempts": _attempts(record),
        "origins": shown.origins,
        "commit": _commit(desk, record),
        "outputs": record.outputs[:_MOST_OUTPUTS],
        "more_outputs": max(0, len(record.outputs) - _MOST_OUTPUTS),
        "environment": _environment(record),
        "packages": _packages(record),
        "related": related,
        "unreadable": shown.unreadable,
        "is_foreign": shown.is_foreign,
        "log_task": _log_task(record),
        "has_log": was_attempted or record.status is Status.RUNNING,
    }
    return View(
        template="run.html",
        title=record.label,
        section="runs",
        context=context,
        document=lambda: _document(shown),
    )


def _document(shown: Shown) -> dict[str, Any]:
    return shown.to_json()


def _log_task(record: Record) -> str | None:
    """Return the task whose log is shown first: the running or failed one, else the longest."""
    for wanted in (Status.RUNNING, Status.ERROR):
        for task in record.tasks:
            if task.status is wanted:
                return task.id
    attempted = [task for task in record.tasks if task.attempts]
    if not attempted:
        return None
    return max(attempted, key=lambda task: task.duration_s or 0.0).id


def _params(record: Record) -> list[tuple[str, str]]:
    """Return the params in words, those that the sweep varies first."""
    params = [(key, cell(value)) for key, value in record.params.items()]
    return sorted(params, key=lambda pair: pair[0] not in record.swept)


def _live(desk: Desk, record: Record) -> Mapping[str, Any] | None:
    """Return the progress and the time left of a run that is not over."""
    if record.status not in LIVE:
        return None
    for live in status(desk.site).runs:
        if live.id == record.id:
            return live.to_json()
    return None


def _graph(record: Record) -> TaskGraph | None:
    if len(record.tasks) < 2:
        return None
    return task_graph(
        {task.id: str(task.status) for task in record.tasks}, record.needs
    )


def _attempts(record: Record) -> list[AttemptLine]:
    """Return all attempts, those of each task from the oldest to the newest."""
    lines = []
    for task in record.tasks:
        lines += _attempts_of(task)
    return lines


def _attempts_of(task: TaskRecord) -> list[AttemptLine]:
    lines = []
    for attempt in task.attempts:
        lines.append(
            AttemptLine(
                task=task.id,
                number=attempt.number,
                attempt=attempt,
                is_last=attempt is task.attempts[-1],
            )
        )
    return lines


def _commit(desk: Desk, record: Record) -> CommitText | None:
    """Return the commit's message, None if the commit is not in this clone."""
    try:
        return commit_text(desk.site, record.pin.commit)
    except GitorchError:
        return None


def _environment(record: Record) -> list[tuple[str, str]]:
    """Return what the last attempt ran with, except for its packages."""
    facts = []
    for key, value in record.environment.items():
        if key == "memory_bytes" and isinstance(value, int):
            facts.append(("memory", size(value)))
        elif key not in ("packages", "modules"):
            facts.append((key, _in_words(value)))
    return facts


def _in_words(value: Any) -> str:
    """Return a value, a mapping or a list with one entry a line."""
    if isinstance(value, Mapping):
        entries = [f"{text(key)}: {cell(entry)}" for key, entry in value.items()]
    elif isinstance(value, list):
        entries = [cell(entry) for entry in value]
    else:
        return cell(value)
    return "\n".join(entries) or UNKNOWN


def _packages(record: Record) -> list[tuple[str, str]]:
    packages = record.environment.get("packages")
    if not isinstance(packages, Mapping):
        return []
    found = [(str(name), cell(version)) for name, version in packages.items()]
    return found[:_MOST_PACKAGES]


def _related(desk: Desk, row: Row) -> Sequence[tuple[str, Row]]:
    """Return the run that this one repeats, and the runs that repeat it."""
    related = []
    for other in desk.runs.rows():
        if other.id == row.rerun_of:
            related.append(("repeats", other))
        elif other.rerun_of == row.id:
            related.append(("repeated by", other))
    return related[:20]
