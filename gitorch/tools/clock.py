"""Times as gitorch writes them everywhere: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the current time."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime, precision: str = "milliseconds") -> str:
    """Return the text of a time; `precision` is a timespec of `datetime.isoformat`."""
    text = moment.astimezone(UTC).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text)
