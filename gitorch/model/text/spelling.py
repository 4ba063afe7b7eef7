"""Suggestions for misspelt words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Two words alike to this degree are one word misspelt: `mehtod` (0.83) is `method`, `idx` (0.80) is
# not `id`.
_ALIKE = 0.82
# Every pair of words is compared: more words than this would take too long, and help too little.
_MOST_WORDS = 200


def similar(word: str, words: Iterable[str], *, most: int, alike: float) -> list[str]:
    """Return at most `most` of the words that are at least this much alike (0 to 1), best first."""
    return get_close_matches(word, list(words), n=most, cutoff=alike)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `word` is a misspelling of. Case, `_` and `-` do not count."""
    by_plain_form = {_plain(other): other for other in words}
    if len(by_plain_form) > _MOST_WORDS:
        return None
    plain = _plain(word)
    best = similar(plain, by_plain_form, most=1, alike=_ALIKE)
    if not best:
        best = [other for other in by_plain_form if _is_transposed(plain, other)]
    return by_plain_form[best[0]] if best else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the end of a message about an unknown `word`. It is empty if no word is near."""
    near = nearest(word, words)
    return f", did you mean '{near}'?" if near else ""


def nearest_path(path: str, paths: Iterable[str]) -> str | None:
    """Return `path` with its first wrong name corrected, or None if no name is near.

    A name is wrong if no other path has it after the same names.
    """
    names = path.split("/")
    others = [other.split("/") for other in paths]
    for depth, name in enumerate(names):
        beside = {other[depth] for other in others if len(other) > depth}
        if name not in beside:
            near = nearest(name, beside)
            return "/".join([*names[:depth], near, *names[depth + 1 :]]) if near else None
        others = [other for other in others if other[depth : depth + 1] == [name]]
    return None


def _is_transposed(word: str, other: str) -> bool:
    """Return True if two neighbouring letters changed places: `jbos` (0.75 alike) is `jobs`."""
    swaps = (
        word[:first] + word[first + 1] + word[first] + word[first + 2 :]
        for first in range(len(word) - 1)
    )
    return other in swaps


def _plain(word: str) -> str:
    return word[:100].casefold().replace("_", "").replace("-", "")
