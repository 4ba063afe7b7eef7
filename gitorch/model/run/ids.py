"""Run ids: 12 random lower-case hex digits, so that two clones do not choose the same id."""

from __future__ import annotations

import re

ID_LENGTH = 12
SHORTEST_PREFIX = 4
LAST = "@last"  # refers to the runs that this clone queued last

_ID = re.compile(r"[0-9a-f]{12}\Z")
_PREFIX = re.compile(r"[0-9a-f]{4,12}\Z")


def run_id(entropy: bytes) -> str:
    """Return the id for 6 random bytes. Raises ValueError for any other number of bytes."""
    if len(entropy) != ID_LENGTH // 2:
        raise ValueError(
            f"a run id takes {ID_LENGTH // 2} bytes, got {len(entropy)}"
        )
    return entropy.hex()


def is_run_id(text: str) -> bool:
    return _ID.match(text) is not None


def is_id_prefix(text: str) -> bool:
    return _PREFIX.match(text) is not None
