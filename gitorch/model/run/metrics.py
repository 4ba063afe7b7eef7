"""Metrics from the result of a task, its events, and JSON files.

NaN and infinities become None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Metrics = dict[str, int | float | None]  # an int stays an int


def of_result(result: Any) -> Metrics:
    """Return the top-level numbers of a result, if the result is a mapping."""
    if not isinstance(result, Mapping):
        return {}
    metrics: Metrics = {}
    for name, value in result.items():
        if is_number(value):
            metrics[str(name)] = _number(value)
    return metrics


def of_file(content: Any, prefix: str = "") -> Metrics:
    """Return the numbers of a metrics file. Names of numbers in nested mappings are dotted."""
    if not isinstance(content, Mapping):
        return {}
    metrics: Metrics = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if is_number(value):
            metrics[name] = _number(value)
        elif isinstance(value, Mapping):
            metrics |= of_file(value, f"{name}.")
    return metrics


def of_events(events: Iterable[Any]) -> Metrics:
    """Return the last value of each metric. Events that report no metric are ignored."""
    metrics: Metrics = {}
    for event in events:
        if not isinstance(event, Mapping):
            continue
        name = event.get("metric")
        if not isinstance(name, str):
            continue
        value = event.get("value")
        if value is None:
            metrics[name] = None
        elif is_number(value):
            metrics[name] = _number(value)
    return metrics


def last_progress(events: Iterable[Any]) -> tuple[float, float] | None:
    """Return the newest valid (done, total), None if there is none."""
    progress = None
    for event in events:
        match event:
            case {"progress": [done, total]} if (
                is_number(done) and is_number(total) and total > 0
            ):
                progress = (done, total)
    return progress


def finite(value: Any) -> Any:
    """Return the value with None in place of NaN and infinities, which JSON does not have."""
    match value:
        case float():
            return _number(value)
        case list():
            return [finite(item) for item in value]
        case dict():
            return {key: finite(item) for key, item in value.items()}
        case _:
            return value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: float) -> float | None:
    if isinstance(value, int) or math.isfinite(value):
        return value
    return None
