"""Times as gitorch writes them everywhere: RFC 3339, UTC, milliseconds.

The wall clock can be set while a program runs. What depends on the age of something asks `jump_s`.
Standard library only, since the slots use this module too.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

# A clock that is corrected by less than this has not jumped.
LARGEST_CORRECTION_S = 300.0


def now() -> str:
    """Return the current time."""
    return stamp(datetime.now(UTC))


def jump_s() -> float:
    """Return how many seconds the clock was set forward, or back, since this program started.

    The result is 0 for a correction of some minutes.
    """
    jump = _ahead_of_boot_s() - _AHEAD_AT_START_S
    return jump if abs(jump) > LARGEST_CORRECTION_S else 0.0


def _ahead_of_boot_s() -> float:
    """Return by how much the wall clock is ahead of the clock that counts from the boot."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


_AHEAD_AT_START_S = _ahead_of_boot_s()


def stamp(moment: datetime, precision: str = "milliseconds") -> str:
    """Return the text of a time; `precision` is a timespec of `datetime.isoformat`."""
    text = moment.astimezone(UTC).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text)
