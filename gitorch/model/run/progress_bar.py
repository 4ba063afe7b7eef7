"""The progress bars that tqdm prints, read from the end of a log.

A bar is printed again and again, after a carriage return:

    train:  31%|███       | 311/1000 [00:05<00:12, 55.10it/s, loss=0.31]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_AMOUNT = r"\d[\d.]*[kKMGTPEZY]?[a-zA-Z]{0,9}"
# Bounded, so that a long line of anything takes no time that grows with its square.
_BAR = (
    r"(?P<title>[^\r\n%|]{0,200}?)\s*\d{1,3}%\|[^|\r\n]{0,1000}\|\s*"
    rf"(?P<done>{_AMOUNT})/(?P<total>{_AMOUNT})\s*"
    r"\[(?P<elapsed>[\d:]{1,20})<(?P<left>[\d:]{1,20}|\?)"
)
_UNITS = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}


class Bar(NamedTuple):
    """One print of a bar. Times are in seconds; `left_s` is None if tqdm does not know it."""

    title: str
    done: float
    total: float
    elapsed_s: float
    left_s: float | None


class ShownProgress(NamedTuple):
    """The bar that shows the progress of a task. `is_part` is True if other bars come after it."""

    bar: Bar
    is_part: bool


def shown_progress(tail: str) -> ShownProgress | None:
    """Return the progress that the end of a log shows, None if there is no bar in it.

    Of several bars, that of the whole is the one that has run the longest. A bar that began again,
    or that followed a finished one of the same length, is a part of the work.
    """
    bars = list(_bars(tail))
    if not bars:
        return None
    newest: dict[str, Bar] = {}
    for bar in bars:
        newest.pop(bar.title, None)
        newest[bar.title] = bar
    last = bars[-1]
    unfinished = [bar for bar in newest.values() if bar.done < bar.total]
    whole = max([*unfinished, last], key=lambda bar: bar.elapsed_s)
    return ShownProgress(whole, _is_part(whole, bars))


def _is_part(whole: Bar, bars: Sequence[Bar]) -> bool:
    before: float = 0.0
    for bar in bars:
        if bar.title == whole.title:
            if bar.done < before:
                return True
            before = bar.done
        elif bar.total == whole.total and bar.done >= bar.total:
            return True
    return False


def _bars(tail: str) -> Iterator[Bar]:
    for piece in re.split(r"[\r\n]", tail):
        if "%|" not in piece:
            continue
        found = re.search(_BAR, piece[-4000:])
        if not found:
            continue
        done, total = _amount(found["done"]), _amount(found["total"])
        if not total or done is None:
            continue
        yield Bar(
            title=found["title"].strip(),
            done=done,
            total=total,
            elapsed_s=_seconds(found["elapsed"]) or 0.0,
            left_s=_seconds(found["left"]),
        )


def _amount(text: str) -> float | None:
    """Return a number with or without a unit: `311`, `1.2k`, `3.4MB`."""
    match = re.match(r"\d+(?:\.\d+)?", text)
    if not match:
        return None
    unit = text[match.end() : match.end() + 1]
    return float(match[0]) * _UNITS.get(unit, 1.0)


def _seconds(text: str) -> float | None:
    """Return the seconds of `05:12` or `1:05:12`, None for `?`."""
    parts = text.split(":")
    if not all(part.isdecimal() and len(part) < 9 for part in parts):
        return None
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return seconds
