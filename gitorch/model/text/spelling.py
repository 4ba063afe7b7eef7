"""Suggestions for misspelt words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_WORD = 100  # characters; the rest of a longer word is ignored
# How similar a misspelt word must be: `mehtod` (0.83) is taken for `method`, but `idx` (0.80) is
# not taken for `id`.
_ALIKE = 0.82
# A word is not compared with more words than this: it would take too long and rarely help.
_MOST_WORDS = 200


def similar(
    word: str, words: Iterable[str], *, most: int, alike: float
) -> list[str]:
    """Return at most `most` of the words that are at least this similar (0 to 1), best first."""
    return get_close_matches(word, list(words), n=most, cutoff=alike)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that is spelt like `word`, or None. Case, `_` and `-` do not count.

    The result is None too if there are too many words to compare.
    """
    by_plain_form = {_plain(other): other for other in words}
    if len(by_plain_form) > _MOST_WORDS:
        return None
    plain = _plain(word)
    best = similar(plain, by_plain_form, most=1, alike=_ALIKE)
    if best:
        return by_plain_form[best[0]]
    for other, original in by_plain_form.items():
        if _is_transposed(plain, other):
            return original
    return None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the end of a message about an unknown `word`, or an empty text if no word is near."""
    near = nearest(word, words)
    return f", did you mean '{near}'?" if near else ""


def nearest_path(path: str, paths: Iterable[str]) -> str | None:
    """Return `path` with its first wrong name corrected, or None if no name is near.

    A name is wrong if none of `paths` begins with the names up to and including this one.
    """
    names = path.split("/")
    candidates = [other.split("/") for other in paths]
    for depth, name in enumerate(names):
        candidates = [other for other in candidates if len(other) > depth]
        existing = {other[depth] for other in candidates}
        if name not in existing:
            near = nearest(name, existing)
            if near is None:
                return None
            names[depth] = near
            return "/".join(names)
        candidates = [other for other in candidates if other[depth] == name]
    return None


def _is_transposed(word: str, other: str) -> bool:
    """Return True if the words differ in the order of two neighbouring letters: `jbos`, `jobs`.

    Short words of this kind are not similar enough otherwise (0.75).
    """
    if len(word) != len(other):
        return False
    differing = [
        index for index, letter in enumerate(word) if letter != other[index]
    ]
    if len(differing) != 2:
        return False
    first, second = differing
    if second != first + 1:
        return False
    return word[first] == other[second] and word[second] == other[first]


def _plain(word: str) -> str:
    return word[:_LONGEST_WORD].casefold().replace("_", "").replace("-", "")
