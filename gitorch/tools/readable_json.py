"""JSON as it is committed: one key a line, so that `git diff` between two runs reads well."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def render_json(value: Any) -> bytes:
    """Return the UTF-8 text that `json.dumps(value, indent=1)` gives, with a newline at the end.

    `value` consists of dicts with string keys, lists or tuples, and the other values of JSON.
    Raises ValueError for NaN. json writes the values, since msgspec writes NaN as null and 1e-05
    as 0.00001. json has no C encoder for indented text, so msgspec indents it: both together take
    a quarter of the time.
    """
    try:
        compact = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8; msgspec refuses its lone surrogate
        return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()
    return msgspec.json.format(compact, indent=1) + b"\n"
