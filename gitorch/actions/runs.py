"""`gitorch.runs()`: runs for programs and notebooks, as plain values or as a table."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gitorch.actions.found_run import FoundRun
from gitorch.actions.notebook_table import render_html
from gitorch.actions.records import read_records
from gitorch.actions.selection import filter_rows
from gitorch.actions.series import SeriesReader
from gitorch.errors import ProgramMissing
from gitorch.model.table.fields import OWN, TIMES
from gitorch.model.table.row import Row
from gitorch.model.text.phrases import some
from gitorch.model.values import flattened
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

if TYPE_CHECKING:
    import pandas
    import polars


Entry = TypeVar("Entry", bound=dict[str, Any])
_POINT_COLUMNS = ("id", "label", "step", "value", "seconds")


class Table(list[Entry]):
    """A list of dictionaries that can become a data frame."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame. Raises ProgramMissing if pandas is not installed."""
        try:
            import pandas  # noqa: PLC0415  only if a table is asked for
        except ImportError:
            raise _not_installed("pandas") from None
        frame = pandas.DataFrame(self._columns())
        for name in frame.columns.intersection(TIMES):
            frame[name] = pandas.to_datetime(frame[name], utc=True)
        return frame

    def to_polars(self) -> polars.DataFrame:
        """Return a data frame, in which a column of mixed types is a column of texts.

        Raises ProgramMissing if Polars is not installed.
        """
        try:
            import polars  # noqa: PLC0415  only if a table is asked for
        except ImportError:
            raise _not_installed("polars") from None
        columns = {
            name: _of_one_type(values) for name, values in self._columns().items()
        }
        types: dict[str, Any] = dict.fromkeys(OWN, polars.String)
        types |= dict.fromkeys(TIMES, polars.Datetime("us", "UTC"))
        types["duration_s"] = polars.Float64
        known = {name: types[name] for name in columns if name in types}
        return polars.DataFrame(columns, schema_overrides=known)

    def _columns(self) -> dict[str, list[Any]]:
        """Return the values of each column."""
        columns: dict[str, list[Any]] = {}
        for name in dict.fromkeys(name for row in self for name in row):
            columns[name] = [row.get(name) for row in self]
        return columns


class Points(Table[dict[str, Any]]):
    """The values of a metric in runs, in the order in which they were measured.

    A row has the `id` and the `label` of the run, and `step`, `value` and `seconds` (Unix time),
    each None if it is not known. The `value` of NaN is None.
    """

    def _columns(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {name: [] for name in _POINT_COLUMNS}
        return columns | super()._columns()


class Runs(Table[FoundRun]):
    """Runs as in `gitorch list --json`, newest first: a list of dictionaries.

    A table has one column for each parameter and metric, such as `params.lr` and
    `metrics.accuracy`. Nested parameters have dotted names. Times are in UTC.
    """

    def series(self, metric: str, *, points: int | None = None) -> Points:
        """Return all values of a metric in these runs, run by run.

        With `points`, each run has at most so many, among them the lowest and the highest. A run
        without the metric has none. Raises NotFound if a run is gone.
        """
        rows = Points()
        if not self:
            return rows
        site = Site.at(self[0].path)
        run_ids = [run["id"] for run in self]
        for record in read_records(site, Catalog.of(site), run_ids):
            reader = SeriesReader(
                site, record.id, os.environ, names=[metric], points=points
            )
            series = reader.read(record).series.get(metric)
            for step, value, seconds in series.points if series else ():
                rows.append(
                    {
                        "id": record.id,
                        "label": record.label,
                        "step": step,
                        "value": value,
                        "seconds": seconds,
                    }
                )
        return rows

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        return render_html(self, self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        """Return the values of each column, None for a run without a value in it."""
        flat_runs = [_flattened(run) for run in self]
        names = dict.fromkeys(OWN)
        for run in flat_runs:
            names |= dict.fromkeys(run)
        columns = {}
        for name in names:
            columns[name] = [run.get(name) for run in flat_runs]
        return columns


def runs(where: str | None, path: Path) -> Runs:
    """Return the runs of the repository that contains `path`.

    Records that cannot be read are left out with a warning.
    Raises NotFound, Refused, and UsageError if `where` is invalid.
    """
    catalog = Catalog.of(Site.at(path))
    rows = filter_rows(catalog.rows(), where)
    broken = [error.run_id for error in catalog.unreadable()]
    if broken:
        warnings.warn(
            f"left out the records that cannot be read: {some(broken)}; "
            "gitorch doctor says why",
            stacklevel=3,
        )
    return Runs(_found_run(row, path) for row in rows)


def _found_run(row: Row, path: Path) -> FoundRun:
    """Return the run as in JSON, in which every sequence is a list."""
    run = FoundRun(row.to_json(), path.absolute())
    run["swept"] = list(row.swept)
    run["changed"] = list(row.changed)
    return run


def _flattened(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a run by the names of their columns."""
    flat = {name: run[name] for name in OWN}
    for name in TIMES:
        if run[name]:
            flat[name] = datetime.fromisoformat(run[name])
    flat |= flattened(run["params"], "params.")
    flat |= flattened(run["task_params"], "params.tasks.")
    for name, value in run["metrics"].items():
        flat[f"metrics.{name}"] = value
    return flat


def _of_one_type(values: Sequence[Any]) -> list[Any]:
    """Return the values as values of one type.

    Integers among floats become floats. Other mixed values, and lists, become JSON.
    """
    types = {type(value) for value in values if value is not None}
    if types == {int, float}:
        return list(map(_as_float, values))
    if len(types) <= 1 and not types & {list, dict}:
        return list(values)
    return [_as_text(value) for value in values]


def _as_float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _not_installed(name: str) -> ProgramMissing:
    return ProgramMissing(
        f"{name} is not installed in this interpreter", f"pip install {name}"
    )
