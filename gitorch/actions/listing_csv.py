"""Runs, or groups of runs, as CSV, for `list --csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitorch.actions.listing import Listing
from gitorch.model.run.spec import render_value
from gitorch.model.table.columns import values_of
from gitorch.model.table.fields import OWN
from gitorch.model.table.groups import Group
from gitorch.model.table.row import Row
from gitorch.model.text.shown import visible

_FIRST = ("id", "name", "label", "status", "commit")  # the others follow the values


def render_csv(listed: Listing) -> str:
    """Return the chosen columns of the runs, or all, with the prefixes `params.` and `metrics.`."""
    rows = list(map(_csv_row, listed.runs))
    header = listed.columns or tuple(_all_keys(rows)) or OWN
    return _csv(rows, header)


def _csv_row(row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = {name: getattr(row, name) for name in _FIRST}
    for name, value in values_of(row).items():
        is_param = name.startswith("params.")
        cells[name] = render_value(value) if is_param else value
    for name in OWN:
        cells.setdefault(name, getattr(row, name))
    return cells


def render_groups_csv(groups: Sequence[Group]) -> str:
    rows = list(map(_group_csv_row, groups))
    return _csv(rows, tuple(_all_keys(rows)) or ("runs", "count", "left_out"))


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


def _csv(rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> str:
    """Return the rows as CSV; a missing value, and None, is an empty cell.

    Control characters are escaped. Line breaks and tabs stay, in quoted cells.
    """
    text = io.StringIO()
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
