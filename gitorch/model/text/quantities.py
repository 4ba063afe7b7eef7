"""Lengths of time and amounts of memory, as people write them.

A text that cannot be read raises ValueError. Its message continues a sentence that begins with the
text: "2 weeks" "is not a length of time".
"""

from __future__ import annotations

import re

LONGEST = (
    10 * 365 * 86_400
)  # seconds; within what clocks, timers and databases can hold
LARGEST = 1 << 60  # bytes
_MOST_CHARACTERS = 40  # so that no text takes long to refuse

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"\s*".join(f"(?:{_NUMBER}{unit})?" for unit in _SECONDS), re.ASCII
)


def _units_of_memory() -> dict[str, int]:
    """Return the bytes in each unit: `mb` is a power of 1000, `mib` and `m` are powers of 1024."""
    units = {"b": 1}
    for power, prefix in enumerate("kmgt", start=1):
        units[f"{prefix}b"] = 1000**power
        units[f"{prefix}ib"] = 1024**power
        units[prefix] = 1024**power
    return units


_BYTES = _units_of_memory()
_SIZE = re.compile(rf"{_NUMBER}\s*({'|'.join(_BYTES)})?", re.ASCII | re.IGNORECASE)


def parse_duration(written: str | float) -> float:
    """Return seconds, 0 to LONGEST.

    `written` is a number of seconds, or a text such as `90s`, `1.5h`, `1h30m` or `2d`, with larger
    units first.
    """
    if not isinstance(written, str):
        return float(_checked(written, LONGEST, "is longer than ten years"))
    match = None
    if 0 < len(written) <= _MOST_CHARACTERS:
        match = _DURATION.fullmatch(written)
    numbers = match.groups() if match else ()
    if not any(numbers):
        raise ValueError("is not a length of time")
    seconds = 0.0
    for number, unit in zip(numbers, _SECONDS.values(), strict=True):
        seconds += float(number or 0) * unit
    return float(_checked(seconds, LONGEST, "is longer than ten years"))


def parse_size(written: str | float) -> int:
    """Return bytes, 0 to LARGEST.

    `500MB` is a power of 1000. `8GiB` and its short form `8G`, as in Slurm, are powers of 1024.
    Upper and lower case mean the same. Only 0 needs no unit.
    """
    number, unit = _number_and_unit(written)
    if number and not unit:
        raise ValueError("has no unit")
    amount = number * _BYTES[(unit or "b").lower()]
    return round(_checked(amount, LARGEST, "is too much memory"))


def _number_and_unit(written: str | float) -> tuple[float, str | None]:
    if not isinstance(written, str):
        return _checked(written, LARGEST, "is too much memory"), None
    match = None
    if len(written) <= _MOST_CHARACTERS:
        match = _SIZE.fullmatch(written)
    if match is None:
        raise ValueError("is not an amount of memory")
    return float(match[1]), match[2]


def _checked(amount: float, most: int, too_much: str) -> float:
    if amount < 0:
        raise ValueError("is negative")
    if amount > most:
        raise ValueError(too_much)
    return amount
