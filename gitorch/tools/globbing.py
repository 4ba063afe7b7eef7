"""Matching of globs with the files on disk. `model/text/globs.py` says what globs mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gitorch.model.text.globs import is_glob, matcher


def named(
    root: Path, pattern: str, *, enters: Callable[[str], bool] = lambda path: True
) -> Iterator[str]:
    """Yield the files and directories below `root` that the glob names, as relative paths.

    A glob with two `**` can name a path twice. The glob follows symbolic links, but `**` does not.
    A directory that cannot be listed counts as empty. A directory for whose relative path `enters`
    returns False is not listed.
    """
    return _named(root, "", [name for name in pattern.split("/") if name], enters)


def _named(
    root: Path, directory: str, names: list[str], enters: Callable[[str], bool]
) -> Iterator[str]:
    """Yield what the rest of the glob, in `names`, names below `directory`."""
    if names == ["**"]:
        yield directory or "."
        return
    if names[0] == "**":
        yield from _named(root, directory, names[1:], enters)
    for child, rest in _children(root, directory, names):
        path = f"{directory}/{child}" if directory else child
        if not rest:
            yield path
        elif enters(path) and (root / path).is_dir():
            yield from _named(root, path, rest, enters)


def _children(root: Path, directory: str, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each child that the first of `names` matches, with the names to match below it."""
    first, rest = names[0], names[1:]
    if first == "**":
        for child in _entries(root / directory):
            if child.is_dir(follow_symlinks=False):
                yield child.name, names
    elif is_glob(first):
        matches = matcher(first).fullmatch
        for child in _entries(root / directory):
            if matches(child.name):
                yield child.name, rest
    elif os.path.lexists(root / directory / first):
        yield first, rest


def _entries(directory: Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return ()
