"""Numbers of things, and the first few of many names, as messages write them."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 run`, `2 runs`. `many` is the plural if it is not `one` with an s."""
    if count == 1:
        return f"1 {one}"
    return f"{count} {many or f'{one}s'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return `a, b and 3 more`: at most `most` of the names, in one line."""
    text = ", ".join(name.replace("\n", "\\n") for name in names[:most])
    rest = len(names) - most
    return f"{text} and {rest} more" if rest > 0 else text
