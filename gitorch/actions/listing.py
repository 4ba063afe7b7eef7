"""`gitorch list`: selected runs, newest first, sorted by columns, or grouped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.selection import condition_of
from gitorch.errors import UsageError
from gitorch.model.table.columns import column_of, leaves_below
from gitorch.model.table.fields import Path, field, getter, render_path, sorted_by
from gitorch.model.table.groups import AGGREGATES, Group, grouped
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

DEFAULT_AGGREGATES = ("mean", "count")


class Listing(Struct, frozen=True, kw_only=True):
    """The selected runs, or all of their groups if groups were asked for.

    `columns` are the chosen columns, and `asked` those that runs are sorted or selected by, by name
    (see `model.table.columns`). `peers` are all runs that have the name of a selected run.
    """

    runs: tuple[Row, ...]
    columns: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    peers: tuple[Row, ...] = ()
    groups: tuple[Group, ...] | None = None
    aggregates: tuple[
        str, ...
    ] = ()  # the statistics of each metric that the groups contain

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "schema": "gitorch/list/v1",
            "runs": [row.to_json() for row in self.runs],
        }
        if self.groups is not None:
            document["groups"] = [group.to_json() for group in self.groups]
        return document


class SortKey(Struct, frozen=True):
    """A column to sort by."""

    path: Path
    descending: bool


def listing(
    site: Site,
    *,
    where: str | None = None,
    sort: Sequence[str] | None = None,
    limit: int | None = None,
    group: Sequence[str] | None = None,
    aggregates: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Listing:
    """Return the runs for which `where` is true, the first `limit` of them.

    Columns are named as in `model.table.fields.field`. One text may name several columns, separated
    by commas. A `-` before the name of a column sorts from high to low. With `group`, sorting and
    `limit` apply to the groups. They are sorted by the columns that they are grouped by, or by the
    first aggregate of a metric.
    Raises UsageError.
    """
    every = Catalog.of(site).rows()
    rows, asked = _selected(every, where)
    sort_keys = _sort_keys(sort, rows)
    names = _split_names(group)
    if group:
        chosen = _split_names(aggregates) or DEFAULT_AGGREGATES
        return _list_groups(rows, sort_keys, limit, names, chosen)
    if aggregates:
        raise UsageError(
            "--aggregate needs --group",
            hint="gitorch list --group lr --aggregate mean,std",
        )
    if sort_keys:
        rows = sorted_by(
            rows, [(getter(key.path), key.descending) for key in sort_keys]
        )
    shown = rows[:limit]
    shown_names = {row.name for row in shown}
    peers = [row for row in every if row.name in shown_names]
    sorted_by_columns = [column_of(key.path) for key in sort_keys]
    return Listing(
        runs=tuple(shown),
        columns=tuple(_columns(columns, every)),
        asked=(*sorted_by_columns, *asked),
        peers=tuple(peers),
    )


def _selected(rows: list[Row], where: str | None) -> tuple[list[Row], list[str]]:
    """Return the rows for which `where` is true, and the columns that it names."""
    condition = condition_of(where, rows)
    if condition is None:
        return rows, []
    return list(filter(condition.matches, rows)), list(
        map(column_of, condition.fields)
    )


def _columns(names: Sequence[str] | None, rows: Sequence[Row]) -> Iterator[str]:
    for name in _split_names(names):
        yield from leaves_below(column_of(field(name, rows)), rows)


def _sort_keys(sort: Sequence[str] | None, rows: Sequence[Row]) -> list[SortKey]:
    keys = []
    for name in _split_names(sort):
        column = field(name.removeprefix("-"), rows)
        keys.append(SortKey(column, descending=name.startswith("-")))
    return keys


def _list_groups(
    rows: Sequence[Row],
    sort_keys: Sequence[SortKey],
    limit: int | None,
    names: Sequence[str],
    aggregates: Sequence[str],
) -> Listing:
    for aggregate in aggregates:
        if aggregate not in AGGREGATES:
            raise UsageError(
                f"there is no aggregate {aggregate!r}",
                hint=f"the aggregates are: {', '.join(AGGREGATES)}",
            )
    grouped_by = [field(name, rows, prefer="params") for name in names]
    groups = grouped(rows, grouped_by, aggregates)
    if sort_keys:
        getters = []
        for key in sort_keys:
            getters.append(
                (_group_getter(key.path, grouped_by, aggregates[0]), key.descending)
            )
        groups = sorted_by(groups, getters)
    return Listing(
        runs=tuple(rows),
        asked=tuple(column_of(key.path) for key in sort_keys),
        groups=tuple(groups[:limit]),
        aggregates=tuple(aggregates),
    )


def _group_getter(
    column: Path, grouped_by: Sequence[Path], aggregate: str
) -> Callable[[Group], Any]:
    """Return the function that returns a group's value in `column`."""
    name = render_path(column)
    if column in grouped_by:
        return lambda group: group.by[name]
    if column[0] == "metrics":
        metric = ".".join(column[1:])
        return lambda group: group.metrics.get(metric, {}).get(aggregate)
    raise UsageError(
        f"groups cannot be sorted by {name}",
        hint="sort by a column of --group, or by a metric",
    )


def _split_names(texts: Sequence[str] | None) -> list[str]:
    """Return the names in texts such as `a,b`, without empty ones."""
    names = []
    for text in texts or ():
        for part in text.split(","):
            name = part.strip()
            if name:
                names.append(name)
    return names
