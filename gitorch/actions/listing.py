"""`gitorch list`: runs, newest first or sorted, selected, or in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from gitorch.actions.selection import filter_rows
from gitorch.errors import UsageError
from gitorch.model.table.fields import Path, field, getter, render_path, sorted_by
from gitorch.model.table.groups import AGGREGATES, Group, grouped
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site

DEFAULT_AGGREGATES = ("mean", "count")


class Listing(Struct, frozen=True, kw_only=True):
    """`groups` are of all runs selected, where they were asked for; `aggregates` what they tell of metrics."""

    runs: tuple[Row, ...]
    groups: tuple[Group, ...] | None = None
    aggregates: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        groups = (
            {} if self.groups is None else {"groups": [group.to_json() for group in self.groups]}
        )
        return {"schema": "gitorch/list/v1", "runs": [row.to_json() for row in self.runs], **groups}


def listing(
    site: Site,
    *,
    where: str | None = None,
    sort: Sequence[str] = (),
    limit: int | None = None,
    group: Sequence[str] = (),
    aggregates: Sequence[str] = (),
) -> Listing:
    """Columns are named as in `model.fields.field`, several by comma; after `-` they sort from high to low.

    With `group` it is groups that are sorted, by what they agree in and by the first aggregate of metrics, and limited.
    Raises UsageError.
    """
    rows = filter_rows(Catalog.of(site).rows(), where)
    keys = [(field(name.removeprefix("-"), rows), name.startswith("-")) for name in _split(sort)]
    if group:
        return _in_groups(
            rows, keys, limit, _split(group), _split(aggregates) or DEFAULT_AGGREGATES
        )
    if aggregates:
        raise UsageError(
            "--aggregate is of groups", hint="gitorch list --group lr --aggregate mean,std"
        )
    if keys:
        rows = sorted_by(rows, [(getter(path), descending) for path, descending in keys])
    return Listing(runs=tuple(rows[:limit]))


def _in_groups(
    rows: Sequence[Row],
    keys: Sequence[tuple[Path, bool]],
    limit: int | None,
    names: Sequence[str],
    aggregates: Sequence[str],
) -> Listing:
    for aggregate in aggregates:
        if aggregate not in AGGREGATES:
            raise UsageError(
                f"no aggregate {aggregate!r}", hint=f"there are: {', '.join(AGGREGATES)}"
            )
    paths = [field(name, rows, prefer="params") for name in names]
    groups = grouped(rows, paths, aggregates)
    if keys:
        groups = sorted_by(
            groups,
            [(_of_group(path, paths, aggregates[0]), descending) for path, descending in keys],
        )
    return Listing(runs=tuple(rows), groups=tuple(groups[:limit]), aggregates=tuple(aggregates))


def _of_group(path: Path, by: Sequence[Path], aggregate: str) -> Callable[[Group], Any]:
    name = render_path(path)
    if path in by:
        return lambda group: group.by[name]
    if path[0] == "metrics":
        metric = ".".join(path[1:])
        return lambda group: group.metrics.get(metric, {}).get(aggregate)
    raise UsageError(
        f"groups cannot be sorted by {name}", hint="by what they agree in, or by a metric"
    )


def _split(names: Sequence[str]) -> list[str]:
    return [name.strip() for several in names for name in several.split(",") if name.strip()]
