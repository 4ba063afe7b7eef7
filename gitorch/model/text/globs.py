"""Globs over paths in POSIX form, told by the names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

_TOKEN = re.compile(r"\[(!?)(\]?[^\]]*)\]|[*]+|\?|[^*?\[]+|\[")


@cache
def matcher(pattern: str) -> re.Pattern[str]:
    """What `fullmatch`es the paths that a glob names, and all paths below those.

    `*`, `?` and `[...]` match within one name, hidden ones too; a name `**` stands for any number of directories, and
    `.` for the one that all paths are relative to.
    """
    if pattern == ".":
        return re.compile(".*", re.DOTALL)
    *leading, last = pattern.rstrip("/").split("/")
    prefix = "".join("(?:[^/]+/)*" if name == "**" else f"{_one_name(name)}/" for name in leading)
    return re.compile(f"{prefix}{'.*' if last == '**' else _one_name(last)}(?:/.*)?", re.DOTALL)


def flaw(pattern: str) -> str | None:
    """What is wrong with a glob; None: nothing."""
    try:
        matcher(pattern)
    except re.error as error:
        return error.msg
    return None


def first_match(path: str, patterns: Iterable[str]) -> str | None:
    """The first of the patterns that names `path`, or a directory that it lies in."""
    return next((pattern for pattern in patterns if matcher(pattern).fullmatch(path)), None)


def is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def literal_head(pattern: str) -> str:
    """The directory that a glob begins with; of a plain path all of it."""
    names = pattern.split("/")
    plain = [index for index, name in enumerate(names) if is_glob(name)]
    return "/".join(names[: plain[0]] if plain else names) or "."


def _one_name(pattern: str) -> str:
    return "".join(_translated(token) for token in _TOKEN.finditer(pattern))


def _translated(token: re.Match[str]) -> str:
    match token[0]:
        case "?":
            return "[^/]"
        case text if text.startswith("*"):
            return "[^/]*"
        case text if token[2]:
            members = re.sub(r"([\\\[\]&~|^]|(?<=-)-)", r"\\\1", token[2])
            return f"(?!/)[{'^' if token[1] else ''}{members}]"
        case text:
            return re.escape(text)
