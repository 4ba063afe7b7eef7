"""The values of runs as the templates show them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from gitorch.model.run.spec import render_value
from gitorch.model.text.phrases import counted
from gitorch.model.text.shown import duration, number, visible

UNKNOWN = "–"  # never an invented number
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_LONGEST = 300  # characters of a value in a table


def text(value: Any) -> str:
    """Return a text with visible escapes for controls and for marks of direction."""
    return visible(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def lines(value: Any) -> str:
    """Return a text of several lines with visible escapes for other controls."""
    return visible(str(value).expandtabs())


def cell(value: Any) -> str:
    """Return the value of a parameter or a metric. A long one is cut."""
    shown = number(value) if isinstance(value, float) else render_value(value)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}… ({counted(len(shown), 'character')})"
    return text(shown)


def metric(value: Any) -> str:
    return text(number(value))


def seconds(value: float | None) -> str:
    return UNKNOWN if value is None else duration(value)


def size(value: float | None) -> str:
    """Return a number of bytes with its unit."""
    if value is None:
        return UNKNOWN
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def time(stamp: str | None) -> str:
    """Return a recorded time in the time zone of this machine."""
    if not stamp:
        return UNKNOWN
    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return text(stamp)


def pretty(value: Any) -> str:
    """Return a value as indented JSON."""
    return lines(json.dumps(value, indent=2, ensure_ascii=False, default=list))


FILTERS = {
    "text": text,
    "lines": lines,
    "cell": cell,
    "metric": metric,
    "seconds": seconds,
    "size": size,
    "time": time,
    "pretty": pretty,
    "counted": counted,
}
