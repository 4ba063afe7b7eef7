"""Groups of runs as a table, for `list --group`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from gitorch.actions.listing import Listing
from gitorch.cli.fit import Column, dropped_line, fitted_table
from gitorch.cli.style import number, plain
from gitorch.model.run.spec import render_value
from gitorch.model.table.groups import Group
from gitorch.model.text.phrases import counted


def render_groups(
    listed: Listing, *, width: int | None, all_columns: bool, colors: bool
) -> str:
    """Return a line for each group: the shared values, the number of runs and the metrics.

    `width` is the width of the terminal, if the table has to fit on one.
    """
    groups = listed.groups or ()
    metrics = _all_keys(group.metrics for group in groups)
    columns = []
    for name in _all_keys(group.by for group in groups):
        columns.append(Column(plain(_short(name, metrics)), 0, is_text=True))
    columns.append(Column("runs", 1))
    aggregated = _aggregated_metrics(metrics, listed.aggregates)
    for metric, aggregate in aggregated:
        rank = 1 if f"metrics.{metric}" in listed.asked else 2
        columns.append(Column(plain(f"{metric} {aggregate}"), rank))
    rows = [_group_cells(group, aggregated) for group in groups]
    room = None if all_columns else width
    fitted = fitted_table(rows, columns, width=room, colors=colors)
    return "\n".join(
        [*fitted.lines, *_left_out(groups), *dropped_line(fitted, width)]
    )


def _aggregated_metrics(
    metrics: Iterable[str], aggregates: Sequence[str]
) -> list[tuple[str, str]]:
    """Return each metric with each aggregate, except for the count, which is in `runs`."""
    shown = [aggregate for aggregate in aggregates if aggregate != "count"]
    return list(product(metrics, shown))


def _group_cells(group: Group, aggregated: Sequence[tuple[str, str]]) -> list[str]:
    cells = list(map(_shared_value, group.by.values()))
    cells.append(_run_count(group))
    for metric, aggregate in aggregated:
        cells.append(_aggregated(group, metric, aggregate))
    return cells


def _left_out(groups: Sequence[Group]) -> list[str]:
    """Return a line that says how many runs do not count, if there are any."""
    left_out = sum(group.left_out for group in groups)
    if not left_out:
        return []
    runs = counted(left_out, "run")
    invalid = sum(group.invalid for group in groups)
    if invalid:
        runs += f", {invalid} of them invalid"
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


def _all_keys(mappings: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    """Return the keys of all mappings, each once, in the order in which they first occur."""
    return dict.fromkeys(key for mapping in mappings for key in mapping)
