"""The tolerance within which two numbers count as equal."""

from __future__ import annotations

import math
from typing import NamedTuple


class Tolerance(NamedTuple):
    """Two numbers may differ by `absolute`, or by `relative` times the larger of them.

    The defaults allow for the last bits of single precision. They do not apply to whole numbers,
    which differ by 1 at least. The rule is in `runner/values_program.py`.
    """

    relative: float = 1e-6
    absolute: float = 1e-12

    def __str__(self) -> str:
        return f"rel={self.relative:g},abs={self.absolute:g}"


def parse_tolerance(text: str) -> Tolerance:
    """Return the tolerance that a text means: `rel=1e-6,abs=1e-9`, one of them, or `0`.

    If only one of them is given, the other is 0. Raises ValueError, which says what is wrong.
    """
    if text.strip() == "0":
        return Tolerance(relative=0.0, absolute=0.0)
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.partition("=")
        name = name.strip()
        if name not in ("rel", "abs") or not equals:
            raise ValueError(
                f"{part.strip()!r} is neither rel=NUMBER nor abs=NUMBER"
            )
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = _bound(number.strip())
    return Tolerance(relative=found.get("rel", 0.0), absolute=found.get("abs", 0.0))


def _bound(text: str) -> float:
    """Return a number from 0 on. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (0 <= number < math.inf):
        raise ValueError(f"{text!r} is not a number from 0 on")
    return number
