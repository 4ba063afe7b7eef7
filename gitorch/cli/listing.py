"""Many runs as a table, or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gitorch.cli.style import duration, local_time, number, paint_status, plain, table
from gitorch.model.run.spec import render_value
from gitorch.model.table.fields import OWN
from gitorch.model.table.groups import Group
from gitorch.model.table.row import Row
from gitorch.model.values import MISSING, are_identical

_COMMIT = 10
_ALWAYS = ("id", "name", "status", "created", "took")


class _Column(NamedTuple):
    title: str
    value: Callable[[Row], Any]
    show: Callable[[Any], str]


def render_list(rows: Sequence[Row], *, all_columns: bool, colors: bool) -> str:
    """A table of the parameters and metrics in which the runs differ."""
    differing = [
        column
        for column in _optional(rows)
        if all_columns or len(rows) == 1 or not are_identical(map(column.value, rows))
    ]
    columns = [
        _Column("id", lambda row: row.id, str),
        _Column("name", lambda row: row.name, plain),
        _Column("status", lambda row: row.status, lambda status: paint_status(status, on=colors)),
        *differing,
        _Column("created", lambda row: row.created, local_time),
        _Column("took", lambda row: row.duration_s, duration),
    ]
    cells = [[column.show(column.value(row)) for column in columns] for row in rows]
    return "\n".join(
        table(cells, header=[plain(column.title) for column in columns], colors=colors)
    )


def render_csv(rows: Sequence[Row]) -> str:
    """All columns, params and metrics prefixed with what they are."""
    flat = [
        {
            "id": row.id,
            "name": row.name,
            "label": row.label,
            "status": str(row.status),
            "commit": row.commit,
            **{f"params.{key}": render_value(value) for key, value in row.params.items()},
            **{
                f"metrics.{key}": "" if value is None else value
                for key, value in row.metrics.items()
            },
            "created": row.created,
            "started": row.started or "",
            "ended": row.ended or "",
            "duration_s": "" if row.duration_s is None else row.duration_s,
        }
        for row in rows
    ]
    return _csv(flat, OWN)


def render_groups(groups: Sequence[Group], aggregates: Sequence[str], *, colors: bool) -> str:
    """One line a group: what its runs agree in, how many they are, and their metrics in numbers."""
    metrics = _union(group.metrics for group in groups)
    told = [aggregate for aggregate in aggregates if aggregate != "count"]
    header = [
        *(_short(name, metrics) for name in _union(group.by for group in groups)),
        "runs",
        *(f"{metric} {aggregate}" for metric in metrics for aggregate in told),
    ]
    cells = [
        [
            *("" if value is None else plain(render_value(value)) for value in group.by.values()),
            str(group.count) if group.count == group.runs else f"{group.count} of {group.runs}",
            *(_aggregated(group, metric, aggregate) for metric in metrics for aggregate in told),
        ]
        for group in groups
    ]
    return "\n".join(table(cells, header=list(map(plain, header)), colors=colors))


def render_groups_csv(groups: Sequence[Group]) -> str:
    flat = [
        {
            **{
                name: "" if value is None else render_value(value)
                for name, value in group.by.items()
            },
            "runs": group.runs,
            "count": group.count,
            **{
                f"metrics.{metric}.{aggregate}": "" if value is None else value
                for metric, values in group.metrics.items()
                for aggregate, value in values.items()
            },
        }
        for group in groups
    ]
    return _csv(flat, ("runs", "count"))


def _short(name: str, metrics: Iterable[str]) -> str:
    """A parameter's own name, unless that is a metric's too."""
    bare = name.removeprefix("params.")
    return name if bare in metrics or bare == "runs" else bare


def _aggregated(group: Group, metric: str, aggregate: str) -> str:
    """Of how many values, where not all runs have one."""
    values = group.metrics.get(metric, {})
    value = values.get(aggregate)
    count = values.get("count", group.count)
    return (
        "" if value is None else number(value) + ("" if count == group.count else f" (of {count})")
    )


def _csv(rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> str:
    """`header` is that of no row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, tuple(_union(rows)) or header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().removesuffix("\n")


def _optional(rows: Sequence[Row]) -> list[_Column]:
    """The commit, and every parameter and metric; of one name, or named like a column, with what they are."""
    params, metrics = _union(row.params for row in rows), _union(row.metrics for row in rows)
    taken = {"commit", *_ALWAYS}

    def title(kind: str, key: str, others: Iterable[str]) -> str:
        return f"{kind}.{key}" if key in taken or key in others else key

    columns = [_Column("commit", lambda row: row.commit, lambda commit: commit[:_COMMIT])]
    columns += [
        _Column(title("params", key, metrics), _item("params", key), _shown(render_value))
        for key in params
    ]
    columns += [
        _Column(title("metrics", key, params), _item("metrics", key), _shown(number))
        for key in metrics
    ]
    return columns


def _item(kind: str, key: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row, kind).get(key, MISSING)


def _shown(show: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "" if value is MISSING else plain(show(value))


def _union(rows: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    return dict.fromkeys(key for row in rows for key in row)
