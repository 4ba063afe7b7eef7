"""Params against metrics: parallel coordinates, a scatter plot, group means, rank correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitorch.actions.listing import Listing
from gitorch.errors import UsageError
from gitorch.model.numbers import is_number
from gitorch.model.run.spec import render_value
from gitorch.model.table.columns import choose_columns, values_of
from gitorch.model.table.rank_correlation import rank_correlation
from gitorch.model.table.row import Row
from gitorch.page.runs import address, select
from gitorch.page.view import Desk, Query, View

MOST_RUNS = 5_000  # lines, which a browser draws in a tenth of a second
_MOST_PARAMS = 12
_MOST_METRICS = 40
_LONGEST = 60  # characters of a value that is not a number

Values = Mapping[str, Any]


class Axes(Struct, frozen=True, kw_only=True):
    """The columns that can be shown, and the chosen ones. None if there is nothing to choose."""

    params: tuple[str, ...]
    metrics: tuple[str, ...]
    metric: str | None
    param: str | None


class Influence(Struct, frozen=True, kw_only=True):
    """The rank correlation of a metric with a param, over some runs."""

    param: str
    rho: float | None
    count: int


def explore(desk: Desk, query: Query) -> View:
    """Return the view of params against metrics in the selected runs."""
    problem = None
    try:
        listed = select(desk, _without_order(query))
    except UsageError as error:
        problem = error
        listed = Listing(runs=())
    data = explored(listed, query.get("metric"), query.get("param"))
    context = {
        **data,
        "query": query,
        "where": query.get("where"),
        "problem": problem,
        "runs_address": address("/runs", query, metric=None, param=None),
        "data_address": address("/explore.json", query),
        "most": MOST_RUNS,
        "is_linear": query.get("linear") == "1",
    }
    return View(
        template="explore.html",
        title="Explore",
        section="explore",
        context=context,
        document=lambda: document(data),
        problem=problem,
    )


def _without_order(query: Query) -> Query:
    kept = []
    for name, value in query.parameters:
        if name == "where":
            kept.append((name, value))
    return Query(parameters=tuple(kept))


def explored(listed: Listing, metric: str, param: str) -> dict[str, Any]:
    """Return the axes, the runs with their values, and the influence of each param."""
    rows = [row for row in listed.runs if row.metrics][:MOST_RUNS]
    values = list(map(values_of, rows))
    axes = _axes(rows, values, metric, param)
    influences: list[Influence] = []
    if axes.metric is not None:
        influences = _influences(axes, values)
    if influences and param not in axes.params:
        axes = replace(axes, param=influences[0].param)
    return {
        "axes": axes,
        "rows": rows,
        "values": values,
        "influences": influences,
        "left_out": sum(1 for row in listed.runs if row.metrics) - len(rows),
    }


def document(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the plots are drawn from."""
    axes: Axes = data["axes"]
    columns = list(axes.params)
    if axes.metric is not None:
        columns.append(axes.metric)
    runs = []
    for row, values in zip(data["rows"], data["values"], strict=True):
        cells = [_plotted(values.get(name)) for name in columns]
        runs.append([row.id, row.label, str(row.status), *cells])
    correlations = []
    for influence in data["influences"]:
        correlations.append(
            {
                "param": influence.param,
                "rank_correlation": influence.rho,
                "runs": influence.count,
            }
        )
    return {
        "schema": "gitorch/explore/v1",
        "metric": axes.metric,
        "param": axes.param,
        "columns": columns,
        "runs": runs,
        "correlations": correlations,
        "left_out": data["left_out"],
    }


def _plotted(value: Any) -> Any:
    if value is None or is_number(value):
        return value
    return render_value(value)[:_LONGEST]


def _axes(
    rows: Sequence[Row], values: Sequence[Values], metric: str, param: str
) -> Axes:
    params: list[str] = []
    metrics: list[str] = []
    if rows:
        columns = choose_columns(rows, rows, ())
        telling = set(columns.telling)
        for name in columns.every:
            if name.startswith("metrics."):
                metrics.append(name)
            elif name in telling and _has_several(name, values):
                params.append(name)
        # Those that differ come first.
        metrics.sort(key=lambda name: name not in telling)
    params = params[:_MOST_PARAMS]
    metrics = metrics[:_MOST_METRICS]
    return Axes(
        params=tuple(params),
        metrics=tuple(metrics),
        metric=_chosen(metric, metrics),
        param=_chosen(param, params),
    )


def _chosen(name: str, names: Sequence[str]) -> str | None:
    if name in names:
        return name
    return names[0] if names else None


def _has_several(name: str, values: Sequence[Values]) -> bool:
    """Return True if at least two runs have different values of a column."""
    first = None
    for held in values:
        value = held.get(name)
        if value is None:
            continue
        shown = render_value(value)
        if first is not None and shown != first:
            return True
        first = shown
    return False


def _influences(axes: Axes, values: Sequence[Values]) -> list[Influence]:
    """Return the influence of each param whose values are numbers, the strongest first."""
    influences = []
    for param in axes.params:
        pairs = []
        for held in values:
            x, y = held.get(param), held.get(axes.metric or "")
            if is_number(x) and is_number(y):
                pairs.append((float(x), float(y)))
        if pairs:
            found = rank_correlation(pairs)
            influences.append(
                Influence(param=param, rho=found.rho, count=found.pairs)
            )
    return sorted(influences, key=lambda influence: -abs(influence.rho or 0.0))
