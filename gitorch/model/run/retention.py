"""Retention: the time that a run stays in ERROR before it is given up."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.text.quantities import parse_duration


class Retention(Struct, frozen=True):
    """A duration, and the text that a person wrote for it."""

    written: str
    duration: timedelta

    @classmethod
    def parse(cls, written: str) -> Retention:
        """Parse a duration such as `30d`. Raises ValueError."""
        return cls(written, timedelta(seconds=parse_duration(written)))


def in_error_since(record: Record) -> str | None:
    """Return the time at which the run entered ERROR, None if it is not in ERROR."""
    if record.status is not Status.ERROR or not record.history:
        return None
    newest = record.history[-1]
    return newest.at if newest.target is Status.ERROR else None


def is_overdue(record: Record, retention: Retention, now: datetime) -> bool:
    since = in_error_since(record)
    if since is None:
        return False
    age = now - datetime.fromisoformat(since)
    return age > retention.duration
