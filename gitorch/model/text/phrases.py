"""How messages count, and how they name the first of many."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 run`, `2 runs`; `many` where it is not `one` with an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`: `most` of them, in one line whatever they are called."""
    named = ", ".join(name.replace("\n", "\\n") for name in names[:most])
    return named if len(names) <= most else f"{named} and {len(names) - most} more"
