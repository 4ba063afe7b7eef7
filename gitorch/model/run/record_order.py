"""Which of two versions of a run's record is the newer one, if their commits do not tell.

The records come from a branch that any git program may have changed, so nothing about their shape
is taken for granted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gitorch.model.run.status import Status


class Extent(NamedTuple):
    """How far a run has got by its record. The order of the fields is the order of their weight."""

    complete: int = -1  # complete tasks; -1: it is not a record
    attempts: int = 0
    changes: int = 0  # entries of the history
    last_change: str = ""  # the time of the newest entry


def is_further(record: Any, other: Any) -> bool:
    """Return True if `record` tells of at least as much as `other` does."""
    return extent_of(record) >= extent_of(other)


def extent_of(record: Any) -> Extent:
    """Return how far the run of a record has got."""
    if not isinstance(record, dict):
        return Extent()
    complete = attempts = 0
    for task in _dicts(record.get("tasks")):
        complete += task.get("status") == Status.COMPLETE
        count = task.get("attempt_count")
        attempts += count if isinstance(count, int) else 0
    history = _dicts(record.get("history"))
    last_change = history[-1].get("at") if history else None
    return Extent(
        complete=complete,
        attempts=attempts,
        changes=len(history),
        last_change=last_change if isinstance(last_change, str) else "",
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    """Return the mappings in a list of JSON."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]
