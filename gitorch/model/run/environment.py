"""The environment that a run had, as it is stored: once for all runs that had the same.

The text of an environment is canonical, so that equal environments have the same digest in every
clone. Its keys are sorted and each is on a line of its own, for `git diff`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from gitorch.model.run.record import RecordBroken
from gitorch.model.run.record_file import parse_record


def render_environment(environment: Mapping[str, Any]) -> bytes:
    """Return the canonical text of an environment."""
    compact = json.dumps(environment, sort_keys=True, allow_nan=False).encode()
    try:
        return msgspec.json.format(compact, indent=1) + b"\n"
    except msgspec.MsgspecError:  # a value that is not UTF-8 is a lone surrogate
        return compact + b"\n"


def digest_of(text: bytes) -> str:
    """Return the SHA-256 under which the text of an environment is stored."""
    return hashlib.sha256(text).hexdigest()


def parse_environment(text: bytes, digest: str) -> dict[str, Any] | None:
    """Return the environment with this text, or None if the text is not that of the digest."""
    if digest_of(text) != digest:
        return None
    try:
        return parse_record(text, digest)
    except RecordBroken:
        return None
