"""Run ids: 12 random lower-case hex digits, so that two clones never choose one by accident."""

from __future__ import annotations

import re

ID_LENGTH = 12
SHORTEST_PREFIX = 4

_ID = re.compile(r"[0-9a-f]{12}\Z")
_PREFIX = re.compile(r"[0-9a-f]{4,12}\Z")


def run_id(entropy: bytes) -> str:
    """Return the id that 6 random bytes make."""
    if len(entropy) != ID_LENGTH // 2:
        raise ValueError(
            f"a run id takes {ID_LENGTH // 2} bytes, got {len(entropy)}"
        )
    return entropy.hex()


def is_run_id(text: str) -> bool:
    return _ID.match(text) is not None


def is_id_prefix(text: str) -> bool:
    return _PREFIX.match(text) is not None
