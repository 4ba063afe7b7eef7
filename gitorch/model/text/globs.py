"""Globs over paths with `/`. A glob is compared with the text of a path, without disk access."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import PurePosixPath

# Compiled where it is used: most commands load this module and match nothing.
_PIECE = r"\[(!?)(\]?[^\]]*)\]|[*]+|\?|[^*?\[]+|\["


@cache
def matcher(pattern: str) -> re.Pattern[str]:
    """Return an expression that fully matches the paths named by a glob and all paths below them.

    `*`, `?` and `[...]` match within one name, hidden names included. A name `**` stands for any
    number of directories. `.` is the directory to which all paths are relative.
    Raises re.error if the glob is invalid.
    """
    if pattern == ".":
        return re.compile(".*", re.DOTALL)
    *leading, last = pattern.rstrip("/").split("/")
    expression = ""
    for name in leading:
        if name == "**":
            expression += "(?:[^/]+/)*"
        else:
            expression += f"{_one_name(name)}/"
    expression += ".*" if last == "**" else _one_name(last)
    return re.compile(f"{expression}(?:/.*)?", re.DOTALL)


def flaw(pattern: str) -> str | None:
    """Return the reason why a glob is invalid, None if it is valid."""
    try:
        matcher(pattern)
    except re.error as error:
        return error.msg
    return None


def first_match(path: str, patterns: Iterable[str]) -> str | None:
    """Return the first of the patterns that names `path` or a directory that contains it."""
    for pattern in patterns:
        if matcher(pattern).fullmatch(path):
            return pattern
    return None


def is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def literal_head(pattern: str) -> str:
    """Return the directory with which a glob begins, or the whole pattern if it is a plain path."""
    head = []
    for name in pattern.split("/"):
        if is_glob(name):
            break
        head.append(name)
    return "/".join(head) or "."


def is_in_cone(path: str, sparse: Collection[str]) -> bool:
    """Return True if a worktree of these directories has the file.

    It has what is in and below them, and the files beside them, up to the root.
    """
    if not sparse:
        return True
    directory = PurePosixPath(path).parent
    for name in sparse:
        is_beside = PurePosixPath(name).is_relative_to(directory)
        if is_beside or directory.is_relative_to(name):
            return True
    return False


def _one_name(pattern: str) -> str:
    return "".join(_translated(token) for token in re.finditer(_PIECE, pattern))


def _translated(token: re.Match[str]) -> str:
    """Return the regular expression for one token of a glob."""
    text, negation, members = token[0], token[1], token[2]
    if text == "?":
        return "[^/]"
    if text.startswith("*"):
        return "[^/]*"
    if members:
        # In a set, `re` gives a meaning to `[`, `--`, `&&`, `~~` and `||`, or reserves them. In a
        # glob they are plain characters, so they are escaped.
        escaped = re.sub(r"([\\\[\]&~|^]|(?<=-)-)", r"\\\1", members)
        caret = "^" if negation else ""
        return f"(?!/)[{caret}{escaped}]"
    return re.escape(text)
