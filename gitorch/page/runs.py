"""The list of runs: selected by an expression, sorted, grouped, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.listing import Listing, listing_among
from gitorch.actions.listing_csv import render_csv, render_groups_csv
from gitorch.actions.selection import Selection
from gitorch.errors import UsageError
from gitorch.model.table.columns import Columns, Values, choose_columns
from gitorch.model.table.fields import OWN, TITLES, getter, render_path
from gitorch.model.table.groups import AGGREGATES, Group
from gitorch.model.table.row import Row
from gitorch.model.values import are_identical
from gitorch.page.acts import possible
from gitorch.page.view import Desk, Query, View
from gitorch.page.words import cell, metric, seconds, time

PAGE = 100  # rows
_LEADING = ("status", "id", "name")
_TRAILING = ("created", "duration_s")
_MARKS = ("verified", "invalid")  # shown if a run has one
_TITLES = {name: title for title, name in TITLES.items()}
_ASKED = (
    *("where", "sort", "group", "aggregate", "columns", "all", "page"),
    *("metric", "param"),
)


class Cell(Struct, frozen=True, kw_only=True):
    """One value of a table. `kind` says how it is shown.

    `value` is set if the text does not sort as the value does.
    """

    text: str
    kind: str = ""
    value: float | None = None


class Heading(Struct, frozen=True, kw_only=True):
    """The head of a column, with the address of the same view sorted by the column.

    `order` is the value of `aria-sort`.
    """

    title: str
    name: str
    address: str | None
    order: str = "none"
    is_number: bool = False


class TableRow(Struct, frozen=True, kw_only=True):
    """A row of the table of runs."""

    id: str
    label: str
    status: str
    verbs: str
    cells: Sequence[Cell]


def address(path: str, query: Query, **changes: str | None) -> str:
    """Return the address of a view, with these parameters changed. None removes a parameter."""
    pairs = []
    for name, value in query.parameters:
        if name in _ASKED and name not in changes and value:
            pairs.append((name, value))
    for name, new in changes.items():
        if new is not None:
            pairs.append((name, new))
    return f"{path}?{urlencode(pairs)}" if pairs else path


def select(desk: Desk, query: Query) -> Listing:
    """Return all runs or groups that the view selects. Raises UsageError."""
    return listing_among(
        desk.runs.rows(),
        selection=_selection(query),
        sort=query.all("sort"),
        group=query.all("group"),
        aggregates=query.all("aggregate"),
        columns=query.all("columns"),
    )


def _selection(query: Query) -> Selection:
    where = query.get("where").strip()
    return Selection(where=where) if where else Selection(everything=True)


def runs(desk: Desk, query: Query) -> View:
    """Return the list of runs. An expression that is wrong is explained above an empty list."""
    problem = None
    try:
        listed = select(desk, query)
    except UsageError as error:
        problem = error
        listed = Listing(runs=())
    context: dict[str, Any] = {
        "query": query,
        "where": query.get("where"),
        "group": ",".join(query.all("group")),
        "columns": ",".join(query.all("columns")),
        "sort": ",".join(query.all("sort")),
        "aggregate": ",".join(query.all("aggregate")),
        "problem": problem,
        "everything": len(desk.runs.rows()),
        "json": address("/runs.json", query, page=None),
        "csv": address("/runs.csv", query, page=None),
        "explore": address("/explore", query, page=None, sort=None),
        "fields": _field_names(desk),
    }
    if listed.groups is not None:
        context |= _group_table(listed, query)
    else:
        context |= _run_table(desk, listed, query)
    return View(
        template="runs.html",
        title="Runs",
        section="runs",
        context=context,
        document=listed.to_json,
        problem=problem,
        table=lambda: _csv(listed),
    )


def _csv(listed: Listing) -> str:
    if listed.groups is None:
        return render_csv(listed)
    return render_groups_csv(listed.groups)


def _field_names(desk: Desk) -> list[str]:
    """Return the names of all columns, for the suggestions of the input fields."""
    return [*OWN, *map(render_path, desk.runs.rows().fields)]


def _run_table(desk: Desk, listed: Listing, query: Query) -> dict[str, Any]:
    count = len(listed.runs)
    pages = max(1, -(-count // PAGE))
    page = min(max(1, query.number("page", 1)), pages)
    shown = listed.runs[(page - 1) * PAGE : page * PAGE]
    columns = _columns(desk, listed)
    names = column_names(listed, columns, whole=bool(query.get("all")))
    here = choose_columns(shown, shown, ())
    rows = []
    for position, row in enumerate(shown):
        values = here.values[position]
        cells = [cell_of(name, row, values) for name in names]
        verbs = possible(row.status, read_only=desk.read_only)
        rows.append(
            TableRow(
                id=row.id,
                label=row.label,
                status=str(row.status),
                verbs=" ".join(verbs),
                cells=cells,
            )
        )
    numbers = [_is_numeric(rows, place) for place in range(len(names))]
    return {
        "is_grouped": False,
        "headings": list(_headings(names, columns, numbers, query)),
        "rows": rows,
        "count": count,
        "page": page,
        "pages": pages,
        "first": (page - 1) * PAGE + 1 if count else 0,
        "last": (page - 1) * PAGE + len(shown),
        "previous": _page_address(query, page - 1, pages),
        "next": _page_address(query, page + 1, pages),
        "shared": _shared(here, columns, names),
        "has_all": bool(query.get("all")),
        "all_address": address("/runs", query, all="1", columns=None),
        "telling_address": address("/runs", query, all=None, columns=None),
    }


def _page_address(query: Query, page: int, pages: int) -> str | None:
    if not 1 <= page <= pages:
        return None
    return address("/runs", query, page=None if page == 1 else str(page))


def _columns(desk: Desk, listed: Listing) -> Columns:
    """Return the columns of all selected runs, so that they are the same on each page.

    The params in which the runs of these names differ are found once for each state of the branch,
    since that takes a tenth of a second for 20,000 runs. The values are left out.
    """
    names = sorted({row.name for row in listed.runs})
    known: Columns = desk.remembered(
        f"params of {names}", desk.runs.tip, lambda: _without_values(listed.peers)
    )
    params = _present(known.every, listed.runs)
    metrics, differing = _metrics(listed.runs)
    telling = dict.fromkeys((*listed.asked, *known.telling, *differing))
    every = (*params, *metrics)
    return Columns(
        values=(),
        every=every,
        telling=tuple(name for name in every if name in telling),
    )


def _present(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return the params that at least one of the runs has."""
    present = []
    for name in names:
        if name.startswith("metrics."):
            continue
        get = getter(tuple(name.split(".")))
        if any(get(row) is not None for row in rows):
            present.append(name)
    return present


def _metrics(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Return the columns of the metrics of these runs, and those of them that differ."""
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row.metrics)
    differing = []
    for name in names:
        if not are_identical(row.metrics.get(name) for row in rows):
            differing.append(f"metrics.{name}")
    return [f"metrics.{name}" for name in names], differing


def _without_values(rows: Sequence[Row]) -> Columns:
    """Return the columns of these runs. The values would take as much memory as the runs."""
    columns = choose_columns(rows, rows, ())
    telling = []
    for name in columns.telling:
        if not name.startswith("metrics."):
            telling.append(name)
    return replace(columns, values=(), telling=tuple(telling))


def column_names(
    listed: Listing, columns: Columns, *, whole: bool = False
) -> list[str]:
    """Return the columns in the order in which they are shown, all of them if `whole`."""
    if listed.columns:
        return list(dict.fromkeys(("status", "id", *listed.columns)))
    values = columns.every if whole else columns.telling
    ordered = [name for name in columns.every if name in set(values)]
    leading = list(_LEADING)
    if not whole and len({row.name for row in listed.runs[:1000]}) == 1:
        leading.remove("name")
    commits = {row.commit for row in listed.runs[:1000]}
    middle = ["commit"] if whole or len(commits) > 1 else []
    return [*leading, *_marks(listed.runs), *middle, *ordered, *_TRAILING]


def _marks(rows: Sequence[Row]) -> list[str]:
    """Return the columns of the marks that at least one of the runs has."""
    marks = []
    for name in _MARKS:
        if any(getattr(row, name) for row in rows):
            marks.append(name)
    return marks


# How the columns that every run has are shown, and of which kind they are.
_OWN_CELLS: dict[str, tuple[Callable[[Any], str], str]] = {
    "status": (str, "status"),
    "id": (str, "id"),
    "commit": (itemgetter(slice(10)), "code"),
    "created": (time, "time"),
    "started": (time, "time"),
    "ended": (time, "time"),
    "duration_s": (seconds, "number"),
    "rerun_of": (lambda run_id: run_id or "", "code"),
    "name": (cell, ""),
    "label": (cell, ""),
}


def cell_of(name: str, row: Row, values: Values) -> Cell:
    """Return a run's cell in a column."""
    if name in _OWN_CELLS:
        render, kind = _OWN_CELLS[name]
        value = getattr(row, name)
        order = value if name == "duration_s" else None
        return Cell(text=render(value), kind=kind, value=order)
    if name in OWN:
        return Cell(text=cell(getattr(row, name) or ""))
    if name not in values:
        return Cell(text="")
    value = values[name]
    if name.startswith("metrics."):
        return Cell(text=metric(value), kind="number")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(text=cell(value), kind="number" if is_number else "")


def _is_numeric(rows: Sequence[TableRow], place: int) -> bool:
    return any(row.cells[place].kind == "number" for row in rows)


def _headings(
    names: Sequence[str],
    columns: Columns,
    numbers: Sequence[bool],
    query: Query,
) -> Iterable[Heading]:
    current = ",".join(query.all("sort")).split(",")[0].strip()
    for name, is_number in zip(names, numbers, strict=True):
        order = "none"
        target = name
        if current in (name, column_title(name, columns)):
            order = "ascending"
            target = f"-{name}"
        elif current in (f"-{name}", f"-{column_title(name, columns)}"):
            order = "descending"
        yield Heading(
            title=column_title(name, columns),
            name=name,
            address=address("/runs", query, sort=target, page=None),
            order=order,
            is_number=is_number,
        )


def column_title(name: str, columns: Columns) -> str:
    """Return the name of a column without its kind, if it is still the only one of that name."""
    if name in OWN:
        return _TITLES.get(name, name)
    kind, _, key = name.partition(".")
    other = "metrics" if kind == "params" else "params"
    if key in OWN or key in TITLES or f"{other}.{key}" in columns.every:
        return name
    return key


def _shared(
    here: Columns, columns: Columns, names: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the values that all selected runs share and that have no column."""
    if not here.values:
        return []
    shared = []
    for name in columns.every:
        if name not in names and name not in columns.telling:
            value = here.values[0].get(name, "")
            shown = metric(value) if name.startswith("metrics.") else cell(value)
            shared.append((column_title(name, columns), shown))
    return shared


def _group_table(listed: Listing, query: Query) -> dict[str, Any]:
    """Return the table of groups: what they are grouped by, counts, and statistics of metrics."""
    groups = listed.groups or ()
    keys = list(groups[0].by) if groups else []
    metrics = list(
        dict.fromkeys(name for group in groups for name in group.metrics)
    )
    current = ",".join(query.all("sort")).split(",")[0].strip()
    headings = []
    for name in [*keys, "runs"]:
        title = name.removeprefix("params.")
        headings.append(_group_heading(title, name, current, query))
    for name in metrics:
        for aggregate in listed.aggregates:
            title = f"{name} {aggregate}"
            headings.append(_group_heading(title, title, current, query))
    rows = []
    for group in groups:
        cells = _group_cells(group, keys, metrics, listed.aggregates)
        rows.append(TableRow(id="", label="", status="", verbs="", cells=cells))
    return {
        "is_grouped": True,
        "headings": headings,
        "rows": rows[: 10 * PAGE],
        "count": len(rows),
        "aggregates": list(AGGREGATES),
        "pages": 1,
    }


def _group_cells(
    group: Group,
    keys: Sequence[str],
    metrics: Sequence[str],
    aggregates: Sequence[str],
) -> list[Cell]:
    cells = [Cell(text=cell(group.by[key])) for key in keys]
    cells.append(Cell(text=str(group.runs), kind="number"))
    for name in metrics:
        values = group.metrics.get(name, {})
        for aggregate in aggregates:
            value = values.get(aggregate)
            text = "" if value is None else metric(value)
            cells.append(Cell(text=text, kind="number"))
    return cells


def _group_heading(title: str, name: str, current: str, query: Query) -> Heading:
    order = "none"
    target = name
    if current == name:
        order, target = "ascending", f"-{name}"
    elif current == f"-{name}":
        order = "descending"
    return Heading(
        title=title,
        name=name,
        address=address("/runs", query, sort=target, page=None),
        order=order,
        is_number=" " in title or title == "runs",
    )
