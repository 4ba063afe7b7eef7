"""`queries.sql` as a mapping from name to statement."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements() -> dict[str, str]:
    _, *parts = _NAME.split(_text("queries.sql"))
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def schema() -> str:
    return _text("schema.sql")


def upgrade(version: int) -> str:
    """What makes a queue of the next format out of one of this."""
    return _text(f"upgrade_{version}.sql")


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
