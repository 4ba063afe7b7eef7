"""`gitorch.runs()`: runs for programs and notebooks, as plain values or as a table of pandas or Polars."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitorch.actions.selection import filter_rows
from gitorch.errors import ProgramMissing
from gitorch.model.table.row import Row
from gitorch.runs.catalog import Catalog
from gitorch.runs.site import Site

if TYPE_CHECKING:
    import pandas
    import polars

_TIMES = ("created", "started", "ended")


class Runs(list[dict[str, Any]]):
    """Runs as `gitorch list --json` has them, newest first: a list of dictionaries.

    In tables parameters and metrics are columns of their own, `params.lr` and `metrics.accuracy`, what is nested in
    parameters with dotted names; times are in UTC.
    """

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame. Raises ProgramMissing where pandas is not installed."""
        try:
            import pandas  # noqa: PLC0415  only where it is asked for
        except ImportError:
            raise _not_installed("pandas") from None
        frame = pandas.DataFrame(self._columns())
        for name in _TIMES:
            frame[name] = pandas.to_datetime(frame[name], utc=True)
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A data frame; a column of values of several kinds is one of texts. Raises ProgramMissing without Polars."""
        try:
            import polars  # noqa: PLC0415  only where it is asked for
        except ImportError:
            raise _not_installed("polars") from None
        columns = {name: _of_one_kind(values) for name, values in self._columns().items()}
        own = dict.fromkeys(_OWN, polars.String) | dict.fromkeys(
            _TIMES, polars.Datetime("us", "UTC")
        )
        return polars.DataFrame(columns, schema_overrides=own | {"duration_s": polars.Float64})

    def _columns(self) -> dict[str, list[Any]]:
        flat = [_flat(run) for run in self]
        names = dict.fromkeys([*_OWN, *(name for run in flat for name in run)])
        return {name: [run.get(name) for run in flat] for name in names}


_OWN = ("id", "name", "label", "status", "commit", *_TIMES, "duration_s")


def runs(where: str | None, path: Path) -> Runs:
    """Raises NotFound, Refused, UsageError."""
    rows: list[Row] = filter_rows(Catalog.of(Site.at(path)).rows(), where)
    return Runs(row.to_json() for row in rows)


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: run[name] for name in _OWN}
    times = {name: datetime.fromisoformat(run[name]) if run[name] else None for name in _TIMES}
    return {
        **own,
        **times,
        **dict(_leaves("params", run["params"])),
        **{f"metrics.{name}": value for name, value in run["metrics"].items()},
    }


def _leaves(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value


def _of_one_kind(values: list[Any]) -> list[Any]:
    """Whole numbers among others are numbers too; anything else that is mixed, and lists, become JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return (
            [None if value is None else float(value) for value in values]
            if float in kinds
            else values
        )
    if len(kinds) == 1 and not kinds & {list, dict}:
        return values
    return [
        value if value is None or isinstance(value, str) else json.dumps(value) for value in values
    ]


def _not_installed(name: str) -> ProgramMissing:
    return ProgramMissing(f"{name} is not installed in this interpreter", f"pip install {name}")
