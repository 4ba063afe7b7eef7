"""The series of runs for the curves of the page."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from threading import Lock
from typing import Any

from starlette.responses import Response

from gitorch.actions.records import find_records
from gitorch.actions.series import RunSeries, SeriesReader
from gitorch.errors import UsageError
from gitorch.page.view import Desk, Query
from gitorch.storage.site import Site

MOST_RUNS = 6
_MOST_READERS = 32
_MOST_SERIES = 200  # of one run
_PATIENCE_S = 0.1  # the page asks again while a run goes on


class SeriesShelf:
    """The readers of the runs that were looked at last. Each remembers what it has read."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()
        self._readers: dict[str, tuple[SeriesReader, Lock]] = {}

    def read(self, run_id: str) -> RunSeries:
        """Return the series of a run as they are now. Raises NotFound if the run is gone."""
        with self._lock:
            held = self._readers.pop(run_id, None)
            if held is None:
                reader = SeriesReader(
                    self._site, run_id, os.environ, patience=_PATIENCE_S
                )
                held = reader, Lock()
            self._readers[run_id] = held
            while len(self._readers) > _MOST_READERS:
                del self._readers[next(iter(self._readers))]
        reader, lock = held
        with lock:
            return reader.read()


def series(desk: Desk, query: Query) -> Any:
    """Return the series of the run in the path, or of the runs that are named, as JSON."""
    named = [query.path["id"]] if query.path else query.all("run")
    document = curves(desk, named)
    data = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return Response(data.encode("utf-8", "replace"), media_type="application/json")


def curves(desk: Desk, references: Sequence[str]) -> dict[str, Any]:
    """Return the series of these runs. Raises NotFound, UsageError."""
    if len(references) > MOST_RUNS:
        raise UsageError(f"at most {MOST_RUNS} runs are shown together")
    shelf = desk.remembered("series", None, lambda: SeriesShelf(desk.site))
    runs = []
    notes: dict[str, None] = {}
    is_running = False
    for record in find_records(desk.site, references):
        found = shelf.read(record.id)
        is_running = is_running or found.is_running
        notes |= dict.fromkeys(found.notes)
        runs.append(
            {
                "id": record.id,
                "label": record.label,
                "series": _series(found),
            }
        )
    return {
        "schema": "gitorch/curves/v1",
        "is_running": is_running,
        "notes": list(notes),
        "runs": runs,
    }


def _series(found: RunSeries) -> dict[str, Any]:
    series = {}
    for name, one in list(found.series.items())[:_MOST_SERIES]:
        points = list(zip(one.steps, one.values, strict=True))
        series[name] = {"points": points, "total": one.total}
    return series
