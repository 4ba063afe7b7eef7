"""Lengths of time and amounts of memory as people write them.

What cannot be read is a ValueError whose text goes on after the written one: "2 weeks" "is no length of time".
"""

from __future__ import annotations

import re

LONGEST = 10 * 365 * 86_400  # seconds; within what clocks, timers and databases can hold
LARGEST = 1 << 60  # bytes
_MOST_CHARACTERS = 40  # so that no text takes long to refuse

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"\s*".join(f"(?:{_NUMBER}{unit})?" for unit in _SECONDS), re.ASCII)
_BYTES = {"b": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("kmgt", start=1)
    for ending, base in (("b", 1000), ("ib", 1024), ("", 1024))
}
_SIZE = re.compile(rf"{_NUMBER}\s*({'|'.join(_BYTES)})?", re.ASCII | re.IGNORECASE)


def parse_duration(written: str | float) -> float:
    """Seconds, 0 to LONGEST, from `90s`, `1.5h`, `1h30m` or `2d` (larger units first) or from a number of seconds."""
    if not isinstance(written, str):
        return float(_within(written, LONGEST, "is longer than ten years"))
    found = _DURATION.fullmatch(written) if 0 < len(written) <= _MOST_CHARACTERS else None
    numbers = found.groups() if found else ()
    if not any(numbers):
        raise ValueError("is no length of time")
    seconds = sum(
        float(number or 0) * unit for number, unit in zip(numbers, _SECONDS.values(), strict=True)
    )
    return float(_within(seconds, LONGEST, "is longer than ten years"))


def parse_size(written: str | float) -> int:
    """Bytes, 0 to LARGEST: `500MB` by a power of 1000, `8GiB` and its short form `8G` (as Slurm's) by one of 1024.

    Upper and lower case alike. Only 0 may stand without a unit.
    """
    if not isinstance(written, str):
        number, unit = _within(written, LARGEST, "is too much memory"), None
    elif len(written) <= _MOST_CHARACTERS and (found := _SIZE.fullmatch(written)):
        number, unit = float(found[1]), found[2]
    else:
        raise ValueError("is no amount of memory")
    if number and not unit:
        raise ValueError("has no unit")
    return round(_within(number * _BYTES[(unit or "b").lower()], LARGEST, "is too much memory"))


def _within(amount: float, most: int, too_much: str) -> float:
    if amount < 0:
        raise ValueError("is negative")
    if amount > most:
        raise ValueError(too_much)
    return amount
