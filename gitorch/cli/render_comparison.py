"""The differences between runs as text, for `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitorch.actions.compare import Compared
from gitorch.cli.style import in_line, number, one_line, paint, paint_status, table
from gitorch.model.run.compare import (
    ChangedFile,
    CodeDifference,
    OutputDifference,
    ValueDifference,
)
from gitorch.model.run.spec import render_value

SECTIONS = ("code", "config", "environment", "data", "metrics", "outputs")

_COMMIT = 10
_DIGEST = 12  # as many digits tell two contents apart; --json prints all
_MOST_NAMED = 20  # commits, files and outputs; --code, --stat and --json print all


def render_comparison(
    compared: Compared, sections: Sequence[str], *, colors: bool
) -> str:
    """Return the `sections` in which the runs differ, and the names of the others."""
    comparison = compared.comparison
    letters = []
    rows = []
    for position, record in enumerate(compared.records):
        letter = chr(ord("A") + position)
        letters.append(letter)
        status = paint_status(record.status, on=colors)
        rows.append([letter, record.id, status, in_line(record.label)])
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
            case "metrics":
                lines += _metrics(comparison.metrics, letters, colors)
            case _:
                lines += _values(name, getattr(comparison, name), letters, colors)
    if same:
        lines += ["", paint(f"the same: {', '.join(same)}", "dim", on=colors)]
    return "\n".join(lines)


def _code(code: CodeDifference, letters: Sequence[str], colors: bool) -> list[str]:
    lines = [paint("code", "bold", on=colors)]
    for commit_id in code.missing:
        lines.append(
            f"  differs; commit {commit_id[:_COMMIT]} is not in this clone"
        )
    for commit in code.commits[:_MOST_NAMED]:
        lines.append(f"  {commit.oid[:_COMMIT]}  {in_line(commit.subject)}")
    lines += _more(len(code.commits), "commits")
    files = [_file_cells(file) for file in code.files[:_MOST_NAMED]]
    lines += table(files, header=["", "", ""], colors=False)[1:]
    lines += _more(len(code.files), "files")
    if code.tasks:
        rows = []
        for task, commits in code.tasks.items():
            rows.append([f"  {task}", *map(_short_commit, commits)])
        lines += table(rows, header=["  at", *letters], colors=False)
    return lines


def _short_commit(commit_id: str | None) -> str:
    return commit_id[:_COMMIT] if commit_id else "-"


def _file_cells(file: ChangedFile) -> list[str]:
    lines = "binary" if file.added is None else f"+{file.added} -{file.deleted}"
    return [f"  {file.status}", in_line(file.path), lines]


def _outputs(outputs: OutputDifference, colors: bool) -> list[str]:
    lines = [paint("outputs", "bold", on=colors)]
    kinds = {
        "changed": outputs.changed,
        "added": outputs.added,
        "removed": outputs.removed,
    }
    for kind, paths in kinds.items():
        lines += [
            f"  {kind.ljust(7)}  {one_line(in_line(path))}"
            for path in paths[:_MOST_NAMED]
        ]
        lines += _more(len(paths), kind)
    return lines


def _more(count: int, what: str) -> list[str]:
    if count <= _MOST_NAMED:
        return []
    return [f"  and {count - _MOST_NAMED} more {what}"]


def _values(
    title: str, difference: ValueDifference, letters: Sequence[str], colors: bool
) -> list[str]:
    """Return a table of the values that differ. Data is shown by the first digits of its digest."""
    rows = []
    for key, values in difference.changed.items():
        cells = []
        for value in values:
            if value is None:
                cells.append("-")
            else:
                shown = value[:_DIGEST] if title == "data" else value
                cells.append(in_line(render_value(shown)))
        rows.append([f"  {in_line(key)}", *cells])
    return table(rows, header=[title, *letters], colors=colors)


def _metrics(
    difference: ValueDifference, letters: Sequence[str], colors: bool
) -> list[str]:
    """Return a table of the metrics that differ, with the change from the first run to the last."""
    rows = []
    for key, values in difference.changed.items():
        cells = [_metric(value) for value in values]
        rows.append([f"  {in_line(key)}", *cells, _change(values[0], values[-1])])
    return table(rows, header=["metrics", *letters, "change"], colors=colors)


def _metric(value: Any) -> str:
    if value is None:
        return "-"
    return in_line(number(value))


def _change(first: Any, last: Any) -> str:
    """Return by how much a metric changed, also in per cent unless it was 0."""
    if not isinstance(first, int | float) or not isinstance(last, int | float):
        return ""
    change = f"{last - first:+.6g}"
    if first:
        change += f", {(last - first) / abs(first):+.1%}"
    return change
