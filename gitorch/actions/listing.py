"""`gitorch list`: selected runs, newest first, sorted by columns, or grouped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.selection import Selection, condition_of, matching_rows
from gitorch.errors import UsageError
from gitorch.git.store.remote_runs import count_runs_elsewhere
from gitorch.model.run.status import Status
from gitorch.model.table.columns import column_of, leaves_below
from gitorch.model.table.fields import (
    Path,
    field,
    getter,
    known_fields,
    named,
    render_path,
    sorted_by,
)
from gitorch.model.table.groups import AGGREGATES, Group, grouped
from gitorch.model.table.row import Row
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

_EVERYTHING = Selection(everything=True)
DEFAULT_AGGREGATES = ("mean", "count")
# Whoever selects runs by these fields means FAILED runs too.
_MEANS_FAILED = {("status",), ("id",)}


class Listing(Struct, frozen=True, kw_only=True):
    """The selected runs, or all of their groups if groups were asked for.

    `columns` are the chosen columns, and `asked` those that runs are sorted or selected by, by name
    (see `model.table.columns`). `peers` are all runs that have the name of a selected run.
    `hidden` is the number of FAILED runs that were left out.
    """

    runs: tuple[Row, ...]
    columns: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    peers: tuple[Row, ...] = ()
    hidden: int = 0
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


def runs_elsewhere(site: Site) -> dict[str, int]:
    """Return how many runs the fetched branch of each remote has that are not here."""
    results = site.results
    return count_runs_elsewhere(site.repository, results.ref, results.tip())


class SortKey(Struct, frozen=True):
    """A column to sort by. Of a group's metric, `aggregate` is the statistic, if one is named."""

    path: Path
    descending: bool
    aggregate: str | None = None

    @property
    def column(self) -> str:
        return column_of(self.path)


def listing(
    site: Site,
    *,
    selection: Selection = _EVERYTHING,
    hides_failed: bool = False,
    sort: Sequence[str] | None = None,
    limit: int | None = None,
    group: Sequence[str] | None = None,
    aggregates: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Listing:
    """Return the selected runs, the first `limit` of them.

    With `hides_failed`, FAILED runs are left out, unless they are selected by status or id.
    Columns are named as in `model.table.fields.field`. One text may name several columns, separated
    by commas. A `-` before the name of a column sorts from high to low. With `group`, sorting and
    `limit` apply to the groups. They are sorted by the columns that they are grouped by, by the
    number of their runs, or by an aggregate of a metric: `accuracy max`, or the first without one.
    Raises UsageError.
    """
    return listing_among(
        Catalog.of(site).rows(),
        selection=selection,
        hides_failed=hides_failed,
        sort=sort,
        limit=limit,
        group=group,
        aggregates=aggregates,
        columns=columns,
    )


def listing_among(
    every: list[Row],
    *,
    selection: Selection = _EVERYTHING,
    hides_failed: bool = False,
    sort: Sequence[str] | None = None,
    limit: int | None = None,
    group: Sequence[str] | None = None,
    aggregates: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Listing:
    """Return those of `every` run that are selected, as `listing` does. Raises UsageError."""
    rows, asked, means_failed = _selected(every, selection)
    if group:
        grouped_by = []
        for name in _split_names(group):
            grouped_by.append(field(name, every, prefer="params"))
        group_keys = []
        for name in _split_names(sort):
            group_keys.append(_group_sort_key(name, every, grouped_by))
        chosen = _split_names(aggregates) or DEFAULT_AGGREGATES
        return _list_groups(rows, group_keys, limit, grouped_by, chosen)
    sort_keys = _sort_keys(sort, every)
    if aggregates:
        raise UsageError(
            "--aggregate needs --group",
            hint="gitorch list --group lr --aggregate mean,std",
        )
    if sort_keys:
        rows = sorted_by(
            rows, [(getter(key.path), key.descending) for key in sort_keys]
        )
    listed = rows
    if hides_failed and not means_failed:
        listed = _without_failed(rows)
    shown = listed[:limit]
    sorted_by_columns = [key.column for key in sort_keys]
    return Listing(
        runs=tuple(shown),
        columns=tuple(_columns(columns, every)),
        asked=(*sorted_by_columns, *asked),
        peers=tuple(_peers(shown, every)),
        hidden=len(rows) - len(listed),
    )


def _without_failed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.status is not Status.FAILED]


def _peers(shown: Sequence[Row], every: Sequence[Row]) -> list[Row]:
    names = {row.name for row in shown}
    return [row for row in every if row.name in names]


def _selected(
    rows: list[Row], selection: Selection
) -> tuple[list[Row], list[str], bool]:
    """Return the selected rows, the columns that `where` names, and if it may mean FAILED runs."""
    means_failed = selection.status is not None
    asked: list[str] = []
    condition = condition_of(selection.where, rows)
    if condition:
        rows = list(filter(condition.matches, rows))
        asked += map(column_of, condition.fields)
        means_failed = means_failed or bool(_MEANS_FAILED & {*condition.fields})
    return matching_rows(rows, selection), asked, means_failed


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
    grouped_by: Sequence[Path],
    aggregates: Sequence[str],
) -> Listing:
    for aggregate in aggregates:
        if aggregate not in AGGREGATES:
            raise UsageError(
                f"there is no aggregate {aggregate!r}",
                hint=f"the aggregates are: {', '.join(AGGREGATES)}",
            )
    aggregates = [*aggregates]
    for key in sort_keys:
        if key.aggregate and key.aggregate not in aggregates:
            aggregates.append(key.aggregate)
    groups = grouped(rows, grouped_by, aggregates)
    getters = []
    for key in sort_keys:
        get = _group_getter(key, grouped_by, aggregates[0])
        getters.append((get, key.descending))
    return Listing(
        runs=tuple(rows),
        asked=tuple(key.column for key in sort_keys),
        groups=tuple(sorted_by(groups, getters)[:limit]),
        aggregates=tuple(aggregates),
    )


def _group_sort_key(
    name: str, rows: Sequence[Row], grouped_by: Sequence[Path]
) -> SortKey:
    """Return the key of a name such as `lr`, `-runs`, `accuracy` or `accuracy max`."""
    is_descending = name.startswith("-")
    name = name.removeprefix("-")
    if name == "runs":
        return SortKey((name,), is_descending)
    known = known_fields(rows)
    aggregate = None
    parts = name.rsplit(maxsplit=1) if " " in name else name.rsplit(".", 1)
    if parts[-1] in AGGREGATES and not named(name, known):
        name, aggregate = parts[0], parts[-1]
    is_shared = any(path in grouped_by for path in named(name, known))
    prefer = "params" if is_shared and not aggregate else "metrics"
    return SortKey(field(name, rows, prefer=prefer), is_descending, aggregate)


def _group_getter(
    key: SortKey, grouped_by: Sequence[Path], first: str
) -> Callable[[Group], Any]:
    """Return the function that returns a group's value. `first` is the aggregate by default."""
    if key.path == ("runs",):
        return lambda group: group.runs
    name = render_path(key.path)
    if key.path in grouped_by and key.aggregate is None:
        return lambda group: group.by[name]
    if key.path[0] == "metrics":
        metric = ".".join(key.path[1:])
        aggregate = key.aggregate or first
        return lambda group: group.metrics.get(metric, {}).get(aggregate)
    raise UsageError(
        f"groups cannot be sorted by {name}",
        hint="sort by a column of --group, by runs, or by a metric: 'accuracy max'",
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
