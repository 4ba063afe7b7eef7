"""Metrics from the result of a task, its events, and JSON files.

Each value is a number that JSON can hold, or None (see `model/numbers.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gitorch.model.numbers import is_number, measured

# Of one task. A record has the metrics of all its tasks.
MOST_NAMES = 1000
LONGEST_NAME = 500  # characters

Metrics = dict[str, int | float | None]  # an int stays an int


def of_result(result: Any, task_id: str) -> Metrics:
    """Return the top-level numbers of a result that is a mapping.

    A result that is a number is the metric with the name of the task.
    """
    if is_number(result):
        return {task_id: measured(result)}
    if not isinstance(result, Mapping):
        return {}
    metrics: Metrics = {}
    for name, value in result.items():
        if is_number(value):
            metrics[str(name)] = measured(value)
    return metrics


def of_file(content: Any, prefix: str = "") -> Metrics:
    """Return the numbers of a metrics file. Names of numbers in nested mappings are dotted."""
    if not isinstance(content, Mapping):
        return {}
    metrics: Metrics = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if is_number(value):
            metrics[name] = measured(value)
        elif isinstance(value, Mapping):
            metrics |= of_file(value, f"{name}.")
    return metrics


class Measured(NamedTuple):
    """The metrics with the first `MOST_NAMES` names, and the number of values left out."""

    metrics: Metrics
    left_out: int = 0


def bounded(*sources: Measured) -> Measured:
    """Return the metrics of all sources together. A later source replaces values of an earlier.

    Every listing of runs reads all metrics of all runs, so their number has a limit.
    """
    metrics: Metrics = {}
    left_out = 0
    for source in sources:
        left_out += source.left_out
        for name, value in source.metrics.items():
            if _has_place(metrics, name):
                metrics[name] = value
            else:
                left_out += 1
    return Measured(metrics, left_out)


def _has_place(metrics: Metrics, name: str) -> bool:
    if name in metrics:
        return True
    return len(metrics) < MOST_NAMES and len(name) <= LONGEST_NAME


def of_events(events: Iterable[Any]) -> Measured:
    """Return the last value of each metric. Events that report no metric are ignored."""
    metrics: Metrics = {}
    left_out = 0
    for event in events:
        if not isinstance(event, Mapping):
            continue
        name = event.get("metric")
        if not isinstance(name, str):
            continue
        value = event.get("value")
        if value is not None and not is_number(value):
            continue
        if not _has_place(metrics, name):
            left_out += 1
        elif value is None:
            metrics[name] = None
        else:
            metrics[name] = measured(value)
    return Measured(metrics, left_out)
