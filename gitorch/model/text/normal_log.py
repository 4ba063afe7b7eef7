"""Logs without the parts that differ in every run: times, paths, and ids.

A log is normalised to be compared with the log of another run. A number that is a result stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_LINE = 10_000  # characters; the rest of a line is left out

# The sequences by which a program colours its output.
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAYS = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_UNITS = "(?:ns|us|µs|ms|s|sec|secs|seconds?|min|mins|minutes?|h|hours?|days?)"
_NUMBER = r"[0-9]+(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?"
# Each part that differs in every run, and the word that stands for it. The order matters: a path
# can contain a time.
_PARTS = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            "<id>",
        ),
        (r"\b0x[0-9a-fA-F]{6,16}\b", "<address>"),
        (r"(?<![\w.~/:])/tmp/[^\s'\",;:()<>]+", "<path>"),
        # The directories of an absolute path; the name of the file stays.
        (r"(?<![\w.~/:<>-])/(?:[^\s/'\",;:()<>]+/)+", "<path>/"),
        (
            r"\b[0-9]{4}-[01][0-9]-[0-3][0-9]"
            r"(?:[T _][0-2][0-9][:-][0-5][0-9](?:[:-][0-6][0-9](?:[.,][0-9]+)?)?"
            r"(?: ?(?:Z|UTC|[-+][0-9]{2}:?[0-9]{2})\b)?)?",
            "<time>",
        ),
        (
            rf"\b{_DAYS},? (?:{_MONTHS} +[0-9]{{1,2}}|[0-9]{{1,2}} {_MONTHS})",
            "<time>",
        ),
        (r"\b[0-9]{1,3}:[0-5][0-9](?::[0-6][0-9])?(?:[.,][0-9]+)?\b", "<time>"),
        # Seconds since 1970, from 2001 to 2033.
        (r"\b1[0-9]{9}(?:\.[0-9]+)?\b", "<time>"),
        (rf"\b{_NUMBER} ?{_UNITS}(?:/[A-Za-z]+)?\b", "<time>"),
        (rf"\b{_NUMBER} ?[A-Za-z]*/(?:s|sec|second|min|h)\b", "<speed>"),
        (r"(?i)\b(pid|process|thread|job)([ =:#]+)[0-9]+\b", r"\1\2<id>"),
    )
)


def normalised(text: str, ids: Iterable[str] = ()) -> str:
    """Return the lines of a log without times, paths and ids. `ids` are ids of its run.

    Of a line that a program has written again and again, as a progress bar is, the last state
    stays.
    """
    own_ids = sorted(filter(None, ids), key=len, reverse=True)
    own = re.compile("|".join(map(re.escape, own_ids))) if own_ids else None
    lines = []
    for line in text.split("\n"):
        lines.append(_normalised_line(line, own))
    return "\n".join(lines)


def _normalised_line(line: str, own: re.Pattern[str] | None) -> str:
    line = _COLOURS.sub("", line[:LONGEST_LINE]).rstrip()
    line = line.rpartition("\r")[2]
    if own is not None:
        line = own.sub("<id>", line)
    for part, word in _PARTS:
        line = part.sub(word, line)
    return line
