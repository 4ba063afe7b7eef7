"""Metrics out of what a task leaves: what it returned, its events, JSON files. NaN and infinities are None."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Metrics = dict[str, int | float | None]  # a whole number stays one


def of_result(result: Any) -> Metrics:
    """The top-level numbers of a returned mapping."""
    if not isinstance(result, Mapping):
        return {}
    return {str(name): _number(value) for name, value in result.items() if is_number(value)}


def of_file(content: Any, prefix: str = "") -> Metrics:
    """The numbers of a metrics file; those in nested mappings under dotted names."""
    if not isinstance(content, Mapping):
        return {}
    found: Metrics = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if is_number(value):
            found[name] = _number(value)
        elif isinstance(value, Mapping):
            found |= of_file(value, f"{name}.")
    return found


def of_events(events: Iterable[Any]) -> Metrics:
    """The last value of each name; what is no metric event is passed over."""
    found: Metrics = {}
    for event in events:
        if not isinstance(event, Mapping) or not isinstance(event.get("metric"), str):
            continue
        value = event.get("value")
        if value is None or is_number(value):
            found[event["metric"]] = None if value is None else _number(value)
    return found


def last_progress(events: Iterable[Any]) -> tuple[float, float] | None:
    """The newest (done, total) that makes sense."""
    found = None
    for event in events:
        match event:
            case {"progress": [done, total]} if is_number(done) and is_number(total) and total > 0:
                found = (done, total)
    return found


def finite(value: Any) -> Any:
    """A JSON value with null for what JSON has no number for: NaN and the infinities."""
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
    return value if isinstance(value, int) or math.isfinite(value) else None
