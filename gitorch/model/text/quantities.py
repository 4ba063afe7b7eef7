"""Parsers for durations and amounts of memory, as people write them.

For an invalid text the parsers raise ValueError. The message continues a sentence that begins with
the text, such as `'2 weeks' is not a length of time`.
"""

from __future__ import annotations

import re

# In seconds. Clocks, timers and databases can represent durations up to this one.
LONGEST = 10 * 365 * 86_400
LARGEST = 1 << 60  # bytes
_MOST_CHARACTERS = 40  # limits the time that it takes to refuse a text

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = r"\s*".join(f"(?:{_NUMBER}{unit})?" for unit in _SECONDS)


def _units_of_memory() -> dict[str, int]:
    """Return the number of bytes in each unit: 1000**2 in `mb`, 1024**2 in `mib` and `m`."""
    units = {"b": 1}
    for power, prefix in enumerate("kmgt", start=1):
        units[f"{prefix}b"] = 1000**power
        units[f"{prefix}ib"] = 1024**power
        units[prefix] = 1024**power
    return units


_BYTES = _units_of_memory()
_SIZE = rf"{_NUMBER}\s*({'|'.join(_BYTES)})?"


def parse_duration(written: str | float) -> float:
    """Return a number of seconds from 0 to LONGEST.

    `written` is a number of seconds, or a text such as `90s`, `1.5h`, `1h30m` or `2d`, with larger
    units first. Raises ValueError.
    """
    if not isinstance(written, str):
        return float(_checked(written, LONGEST, "is longer than ten years"))
    match = None
    if 0 < len(written) <= _MOST_CHARACTERS:
        match = re.fullmatch(_DURATION, written, re.ASCII)
    numbers = match.groups() if match else ()
    if not any(numbers):
        raise ValueError("is not a length of time")
    seconds = 0.0
    for number, unit in zip(numbers, _SECONDS.values(), strict=True):
        seconds += float(number or 0) * unit
    return float(_checked(seconds, LONGEST, "is longer than ten years"))


def parse_size(written: str | float) -> int:
    """Return a number of bytes from 0 to LARGEST.

    `MB` in `500MB` is a power of 1000. `GiB` in `8GiB` is a power of 1024, and so is the short form
    `G`, as in Slurm. Case is ignored. Every amount except 0 needs a unit. Raises ValueError.
    """
    number, unit = _number_and_unit(written)
    if number and not unit:
        raise ValueError("has no unit")
    unit = (unit or "b").lower()
    amount = number * _BYTES[unit]
    return round(_checked(amount, LARGEST, "is too much memory"))


def _number_and_unit(written: str | float) -> tuple[float, str | None]:
    if not isinstance(written, str):
        return _checked(written, LARGEST, "is too much memory"), None
    match = None
    if len(written) <= _MOST_CHARACTERS:
        match = re.fullmatch(_SIZE, written, re.ASCII | re.IGNORECASE)
    if match is None:
        raise ValueError("is not an amount of memory")
    return float(match[1]), match[2]


def _checked(amount: float, most: int, too_much: str) -> float:
    if amount < 0:
        raise ValueError("is negative")
    if amount > most:
        raise ValueError(too_much)
    return amount
