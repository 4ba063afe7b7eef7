"""How long a failed run waits for somebody to look at it before it is given up."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.model.text.quantities import parse_duration


class Retention(Struct, frozen=True):
    """`written` as a person did, `duration` what it means."""

    written: str
    duration: timedelta

    @classmethod
    def parse(cls, written: str) -> Retention:
        """Raises ValueError."""
        return cls(written, timedelta(seconds=parse_duration(written)))


def in_error_since(record: Record) -> str | None:
    """When the run came into ERROR, if it is."""
    if record.status is not Status.ERROR or not record.history:
        return None
    last = record.history[-1]
    return last.at if last.target is Status.ERROR else None


def is_overdue(record: Record, retention: Retention, now: datetime) -> bool:
    since = in_error_since(record)
    return since is not None and now - datetime.fromisoformat(since) > retention.duration
