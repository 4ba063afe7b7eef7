"""The series of one attempt: from its live files, or from the files that the branch has of it.

Two sources are read. The events are kept whole, and reduced here. The series of the files that
`metrics:` names are kept reduced in `series.jsonl` beside the attempt, since those files may be
overwritten by a later attempt, cut, or not kept at all. A metric without either has one point,
which is its last value.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from gitorch.errors import GitorchError
from gitorch.git.store import artifacts
from gitorch.model.branch_layout import EVENTS, SERIES, RunPaths
from gitorch.model.run.series import EVENT_SOURCE, Series, SeriesPoint, bounded
from gitorch.runner.reduction import KEPT_POINTS
from gitorch.storage.event_series import EventSeries
from gitorch.storage.kept_logs import stored_as
from gitorch.storage.kept_series import parse_series, reduce_series
from gitorch.storage.site import Site

_BLOCK = 1 << 20
# The `source` of a metric of which only the last value is known.
FINAL = "final"


class FoundSeries(NamedTuple):
    """The series of an attempt by name. `notes` says what was not read, and why."""

    series: Mapping[str, Series]
    notes: tuple[str, ...] = ()


def read_kept_series(
    site: Site,
    run_id: str,
    task_id: str,
    number: int,
    *,
    points: int | None,
    names: Collection[str] | None = None,
) -> FoundSeries | None:
    """Return the series of an attempt that is on the branch, None if it is not there.

    Each has at most `points` points. `names` are the series that are wanted, by default all.
    """
    paths = RunPaths.of(run_id).attempt(task_id, number)
    wanted = [paths.attempt, paths.file(EVENTS), paths.file(SERIES)]
    description, events, kept = site.results.read_all(wanted)
    if description is None:
        return None
    notes: list[str] = []
    stored = {series.name: series for series in parse_series(kept or b"")}
    found = final_values(description)
    has_read = False
    if events is not None and not _are_enough(stored, points):
        try:
            read = _read_events(site, events, description, points, names)
        except (GitorchError, OSError) as error:
            notes.append(f"the events are not read: {error}")
        else:
            has_read = True
            found |= read.series
            notes += read.notes
    for name, series in stored.items():
        # The events themselves have more points than what is kept of them.
        if not has_read or series.source != EVENT_SOURCE:
            found[name] = series
    return FoundSeries(selected(found, names, points), tuple(notes))


def _are_enough(stored: Mapping[str, Series], points: int | None) -> bool:
    """Return True if the kept series of large events have as many points as are wanted."""
    if points is None or points > KEPT_POINTS:
        return False
    return any(series.source == EVENT_SOURCE for series in stored.values())


def _read_events(
    site: Site,
    data: bytes,
    description: bytes,
    points: int | None,
    names: Collection[str] | None,
) -> EventSeries:
    read = EventSeries(points, names)
    with artifacts.open_kept(
        site.repository, data, stored_as(description, EVENTS)
    ) as file:
        while block := file.read(_BLOCK):
            read.add(block)
    read.end()
    return read


def selected(
    found: Mapping[str, Series],
    names: Collection[str] | None,
    points: int | None,
) -> dict[str, Series]:
    """Return the series with these names, each of at most `points` points."""
    chosen = {}
    for name, series in found.items():
        if names is None or name in names:
            chosen[name] = reduce_series(series, points)
    return chosen


def final_values(description: bytes) -> dict[str, Series]:
    """Return the last value of each metric of an attempt as a series, from its description."""
    try:
        metrics = json.loads(description).get("metrics")
    except (ValueError, RecursionError, AttributeError):
        return {}
    return last_values(metrics if isinstance(metrics, dict) else {})


def last_values(metrics: Mapping[str, Any]) -> dict[str, Series]:
    """Return a series of one point, without a step, for each metric."""
    found = {}
    for name, value in metrics.items():
        point = SeriesPoint(None, bounded(value), None)
        found[name] = Series.of(name, [point], source=FINAL)
    return found
