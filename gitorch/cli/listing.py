"""Many runs, or groups of runs, as a table or as CSV, for `list`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gitorch.cli.style import (
    duration,
    local_time,
    number,
    paint_status,
    plain,
    table,
    visible,
)
from gitorch.model.run.spec import render_value
from gitorch.model.table.fields import OWN
from gitorch.model.table.groups import Group
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import counted
from gitorch.model.values import MISSING, are_identical

_COMMIT = 10
_COLUMNS = {"id", "name", "status", "commit", "created", "took"}


class _Column(NamedTuple):
    title: str
    value: Callable[[Row], Any]
    show: Callable[[Any], str]


def render_list(rows: Sequence[Row], *, all_columns: bool, colors: bool) -> str:
    """Return a table of the runs.

    It has the commit, the parameters and the metrics in which the runs differ, or all of them for
    a single run or with `all_columns`.
    """

    def show_status(status: Any) -> str:
        return paint_status(status, on=colors)

    optional = _optional_columns(rows)
    if len(rows) > 1 and not all_columns:
        optional = [
            column
            for column in optional
            if not are_identical(map(column.value, rows))
        ]
    columns = [
        _Column("id", lambda row: row.id, str),
        _Column("name", lambda row: row.name, plain),
        _Column("status", lambda row: row.status, show_status),
        *optional,
        _Column("created", lambda row: row.created, local_time),
        _Column("took", lambda row: row.duration_s, duration),
    ]
    cells = []
    for row in rows:
        cells.append([column.show(column.value(row)) for column in columns])
    header = [plain(column.title) for column in columns]
    return "\n".join(table(cells, header=header, colors=colors))


def _optional_columns(rows: Sequence[Row]) -> list[_Column]:
    """Return columns for the commit and for every parameter and metric of any run.

    A parameter and a metric with the same name, or with the name of another column, have the
    prefixes `params.` and `metrics.`.
    """
    params = _all_keys(row.params for row in rows)
    metrics = _all_keys(row.metrics for row in rows)
    columns = [
        _Column("commit", lambda row: row.commit, lambda commit: commit[:_COMMIT])
    ]
    for key in params:
        title = f"params.{key}" if key in _COLUMNS or key in metrics else key
        columns.append(
            _Column(title, _item("params", key), _shown_with(render_value))
        )
    for key in metrics:
        title = f"metrics.{key}" if key in _COLUMNS or key in params else key
        columns.append(_Column(title, _item("metrics", key), _shown_with(number)))
    return columns


def _item(field: str, key: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row, field).get(key, MISSING)


def _shown_with(render: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "" if value is MISSING else plain(render(value))


def render_csv(rows: Sequence[Row]) -> str:
    """Return all columns of the runs, with the prefixes `params.` and `metrics.`."""
    return _csv(list(map(_csv_row, rows)), empty_header=OWN)


def _csv_row(row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "label": row.label,
        "status": str(row.status),
        "commit": row.commit,
    }
    for key, value in row.params.items():
        cells[f"params.{key}"] = render_value(value)
    for key, metric in row.metrics.items():
        cells[f"metrics.{key}"] = metric
    cells |= {
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "duration_s": row.duration_s,
        "rerun_of": row.rerun_of,
    }
    return cells


def render_groups(
    groups: Sequence[Group], aggregates: Sequence[str], *, colors: bool
) -> str:
    """Return a line for each group: the shared values, the number of runs and the metrics."""
    metrics = _all_keys(group.metrics for group in groups)
    columns = []
    for metric in metrics:
        for aggregate in aggregates:
            if aggregate != "count":  # the count is in the column "runs"
                columns.append((metric, aggregate))
    header = []
    for name in _all_keys(group.by for group in groups):
        header.append(plain(_short(name, metrics)))
    header.append("runs")
    for metric, aggregate in columns:
        header.append(plain(f"{metric} {aggregate}"))
    rows = []
    for group in groups:
        cells = list(map(_shared_value, group.by.values()))
        cells.append(_run_count(group))
        for metric, aggregate in columns:
            cells.append(_aggregated(group, metric, aggregate))
        rows.append(cells)
    lines = table(rows, header=header, colors=colors)
    return "\n".join([*lines, *_left_out(groups)])


def _left_out(groups: Sequence[Group]) -> list[str]:
    """Return a line that says how many runs do not count, if there are any."""
    left_out = sum(group.left_out for group in groups)
    if not left_out:
        return []
    runs = counted(left_out, "run")
    return [
        f"left out: {runs}; of runs that are the same, the first that is COMPLETE counts"
    ]


def _short(name: str, metrics: Iterable[str]) -> str:
    """Return the name of a parameter without its prefix, unless another column has that name."""
    bare = name.removeprefix("params.")
    if bare in metrics or bare == "runs":
        return name
    return bare


def _shared_value(value: Any) -> str:
    if value is None:
        return ""
    return plain(render_value(value))


def _run_count(group: Group) -> str:
    """Return the number of runs, and how many are complete if not all are.

    Repetitions are left out.
    """
    runs = group.runs - group.left_out
    if group.count == runs:
        return str(runs)
    return f"{group.count} of {runs}"


def _aggregated(group: Group, metric: str, aggregate: str) -> str:
    """Return the aggregate. If not every complete run has a value, return also how many have."""
    values = group.metrics.get(metric, {})
    value = values.get(aggregate)
    if value is None:
        return ""
    count = values.get("count", group.count)
    if count == group.count:
        return number(value)
    return f"{number(value)} (of {count})"


def render_groups_csv(groups: Sequence[Group]) -> str:
    return _csv(
        list(map(_group_csv_row, groups)),
        empty_header=("runs", "count", "left_out"),
    )


def _group_csv_row(group: Group) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in group.by.items():
        cells[name] = None if value is None else render_value(value)
    cells["runs"] = group.runs
    cells["count"] = group.count
    cells["left_out"] = group.left_out
    for metric, values in group.metrics.items():
        for aggregate, value in values.items():
            cells[f"metrics.{metric}.{aggregate}"] = value
    return cells


def _csv(rows: Sequence[Mapping[str, Any]], *, empty_header: Sequence[str]) -> str:
    """Return the rows as CSV; a missing value, and None, is an empty cell.

    Control characters are escaped. Line breaks and tabs stay, in quoted cells.
    """
    text = io.StringIO()
    header = tuple(_all_keys(rows)) or empty_header
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(visible, header))
    for row in rows:
        writer.writerow(_csv_cell(row.get(name, "")) for name in header)
    return text.getvalue().removesuffix("\n")


def _csv_cell(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value


def _all_keys(mappings: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    """Return the keys of all mappings, each once, in the order in which they first occur."""
    return dict.fromkeys(key for mapping in mappings for key in mapping)
