"""Values as people read them, on a terminal and on a page: durations, numbers, visible controls."""

from __future__ import annotations

import re

# Characters that control a terminal: C0 except tab and line feed, DEL, C1, and the characters that
# change the direction of text, with which a text can look like another one (CVE-2021-42574).
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# The same, with the halves of characters that UTF-8 cannot encode.
# Compiled where it is used, which is seldom.
_UNSHOWN = rf"[{CONTROLS}\ud800-\udfff]"


def visible(text: str) -> str:
    r"""Return `text` with escapes, such as `\x1b`, in place of control characters."""
    if text.isprintable():
        return text
    return re.sub(_UNSHOWN, _escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def duration(seconds: float | None) -> str:
    """Return a duration as `0.4s`, `12s`, `3m20s`, `2h05m` or `3d04h`; an unknown one is empty.

    The duration is rounded to its smallest unit before the unit is chosen: 239.7 is `4m00s`.
    """
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole_seconds = round(seconds)
    if whole_seconds < 60:
        return f"{whole_seconds}s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60}m{whole_seconds % 60:02}s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    hours = round(seconds / 3600)
    return f"{hours // 24}d{hours % 24:02}h"


def number(value: object) -> str:
    """Return a metric as text: floats with up to six significant digits, integers whole.

    The value of a metric that was NaN is `null`, as in JSON.
    """
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
