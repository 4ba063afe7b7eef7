"""Phrases for messages: a count with its noun, alternatives, a shortened list of names."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun, such as `1 run` or `2 runs`.

    `many` is the plural of `one`. By default it is `one` with an s.
    """
    if count == 1:
        return f"1 {one}"
    plural = many or f"{one}s"
    return f"{count} {plural}"


def one_of(names: Sequence[str]) -> str:
    """Return the names as alternatives, such as `a, b or c`."""
    return _joined(names, "or")


def all_of(names: Sequence[str]) -> str:
    """Return the names as an enumeration, such as `a, b and c`."""
    return _joined(names, "and")


def _joined(names: Sequence[str], word: str) -> str:
    *first, last = names
    if not first:
        return last
    return f"{', '.join(first)} {word} {last}"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return at most `most` of the names in one line, such as `a, b and 3 more`."""
    shown = [name.replace("\n", "\\n") for name in names[:most]]
    text = ", ".join(shown)
    rest = len(names) - most
    if rest > 0:
        return f"{text} and {rest} more"
    return text
