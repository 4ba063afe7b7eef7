"""The file `series.jsonl` of an attempt: series that are not kept as a whole elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from gitorch.model.run.series import Series
from gitorch.runner.reduction import (
    FEWEST_POINTS,
    KEPT_POINTS,
    MOST_KEPT,
    Reduction,
)


def kept_reduced(found: Mapping[str, Series]) -> dict[str, Series]:
    """Return the series reduced so far that the file has less than a mebibyte."""
    if not found:
        return {}
    points = max(FEWEST_POINTS, min(KEPT_POINTS, MOST_KEPT // len(found)))
    return {name: reduce_series(series, points) for name, series in found.items()}


def reduce_series(series: Series, points: int | None) -> Series:
    if points is None or len(series.values) <= points:
        return series
    reduction = Reduction(points)
    reduction.extend(list(series.points))
    return Series.of(
        series.name, reduction.points, total=series.total, source=series.source
    )


def render_series(series: Iterable[Series]) -> bytes:
    """Return the content of `series.jsonl`: one line of JSON for each series."""
    lines = []
    for one in series:
        text = json.dumps(one.to_json(), allow_nan=False, separators=(",", ":"))
        lines.append(f"{text}\n")
    return "".join(lines).encode()


def parse_series(data: bytes) -> list[Series]:
    """Return the series in a `series.jsonl`. Lines that cannot be read are left out."""
    found = []
    for line in data.splitlines():
        try:
            found.append(Series.from_json(json.loads(line)))
        except (ValueError, RecursionError):
            continue
    return found
