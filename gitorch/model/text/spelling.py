"""What somebody probably meant to write."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Two words alike to this degree are one word misspelt: `mehtod` (0.83) is `method`, `idx` (0.80) is not `id`.
_ALIKE = 0.82
# Every pair is compared: among more words than this it would take too long, and help too little.
_MOST = 200


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that `word` is a near miss of, its case and its `_` and `-` aside."""
    known = {_plain(other): other for other in words}
    if len(known) > _MOST:
        return None
    found = get_close_matches(_plain(word), known, n=1, cutoff=_ALIKE)
    return known[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a message about an unknown `word`; empty where nothing is near."""
    near = nearest(word, words)
    return f", did you mean '{near}'?" if near else ""


def nearest_path(path: str, paths: Iterable[str]) -> str | None:
    """`path` as it was probably meant: the first name of it that no other has there is the nearest that one has."""
    names = path.split("/")
    beside = [other.split("/") for other in paths]
    for depth, name in enumerate(names):
        there = {other[depth] for other in beside if len(other) > depth}
        if name not in there:
            near = nearest(name, there)
            return "/".join([*names[:depth], near, *names[depth + 1 :]]) if near else None
        beside = [other for other in beside if other[depth : depth + 1] == [name]]
    return None


def _plain(word: str) -> str:
    return word[:100].casefold().replace("_", "").replace("-", "")
