"""JSON as it is committed: one key a line, so that `git diff` between two runs is easy to read."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def render_json(value: Any) -> bytes:
    """Return the text of `json.dumps(value, indent=1)` in UTF-8, with a newline at the end.

    `value` consists of dicts with string keys, lists or tuples, and the other values of JSON.
    Raises ValueError for NaN. json writes the values, since msgspec writes NaN as null and 1e-05
    as 0.00001. msgspec indents them, since json has no C encoder for indented text. Together they
    take a quarter of the time that json alone would take.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        compact = text.encode()
    except (
        UnicodeEncodeError
    ):  # a file name that is not UTF-8; msgspec refuses its lone surrogate
        escaped = json.dumps(value, indent=1, allow_nan=False)
        return f"{escaped}\n".encode()
    return msgspec.json.format(compact, indent=1) + b"\n"
