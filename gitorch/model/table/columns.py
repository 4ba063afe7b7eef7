"""The parameters and metrics that a table of runs shows, chosen among all runs of the same names.

A value is named by its column: `params.lr`, `params.model.depth`, `metrics.accuracy`. A mapping is
a column for each of its values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gitorch.model.table.fields import Path
from gitorch.model.table.row import Row
from gitorch.model.values import MISSING, are_identical, flattened

Values = Mapping[str, Any]  # by column


class Columns(Struct, frozen=True, kw_only=True):
    """The columns of some runs, none of which is empty. Parameters come before metrics.

    `values` are the values of each run. `every` are all columns. `telling` are those that tell the
    runs apart, the most informative first. All these runs have the same values in the others.
    """

    values: tuple[Values, ...]
    every: tuple[str, ...]
    telling: tuple[str, ...]

    @property
    def shared(self) -> dict[str, Any]:
        """Return the values that all runs have, except for those of the telling columns."""
        telling = set(self.telling)
        return {
            name: self.values[0][name] for name in self.every if name not in telling
        }


def column_of(path: Path) -> str:
    """Return the column of a field: `status`, `params.model.depth`, `metrics.test.f1`."""
    return ".".join(path)


def values_of(row: Row) -> dict[str, Any]:
    """Return the values of a run's parameters and metrics, by column."""
    values = flattened(row.all_params, "params.")
    for name, metric in row.metrics.items():
        values[f"metrics.{name}"] = metric
    return values


def choose_columns(
    rows: Sequence[Row], peers: Sequence[Row], asked: Sequence[str]
) -> Columns:
    """Return the columns of `rows`.

    Those in `asked`, the parameters that were swept or changed by `-S`, the parameters in which any
    of `peers` differ, and the metrics in which `rows` differ tell the runs apart. `peers` are all
    runs of the names in `rows`.
    """
    values = tuple(map(values_of, rows))
    everywhere = values if len(peers) == len(rows) else tuple(map(values_of, peers))
    existing = _names(values)
    distinctive: dict[str, None] = {}
    for row in rows:
        for key in (*row.swept, *row.changed):
            distinctive[f"params.{key}"] = None
    params = [name for name in existing if not _is_metric(name)]
    metrics = list(filter(_is_metric, existing))
    varying = [*_varying(everywhere, params), *_varying(values, metrics)]
    wanted = dict.fromkeys((*asked, *distinctive, *varying))
    telling = tuple(name for name in wanted if name in existing)
    return Columns(values=values, every=tuple(existing), telling=telling)


def leaves_below(name: str, rows: Sequence[Row]) -> list[str]:
    """Return the columns of a mapping, or the column itself if no run has a mapping there."""
    if not name.startswith("params."):
        return [name]
    below = []
    for existing in _names(list(map(values_of, rows))):
        if existing.startswith(f"{name}."):
            below.append(existing)
    return below or [name]


def _names(values: Sequence[Values]) -> dict[str, None]:
    """Return the names of all values: parameters before metrics, in the order of the runs."""
    names: dict[str, None] = {}
    for held in values:
        names |= dict.fromkeys(held)
    return dict.fromkeys(sorted(names, key=_is_metric))


def _is_metric(name: str) -> bool:
    return name.startswith("metrics.")


def _varying(values: Sequence[Values], names: Iterable[str]) -> list[str]:
    varying = []
    for name in names:
        if not are_identical(held.get(name, MISSING) for held in values):
            varying.append(name)
    return varying
