"""Matching of globs with the files on disk. `model/text/globs.py` defines the globs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gitorch.model.text.globs import is_glob, matcher


def named(
    root: Path, pattern: str, *, enters: Callable[[str], bool] = lambda path: True
) -> Iterator[str]:
    """Yield the relative paths of the files and directories below `root` that match a glob.

    A glob with two `**` can yield a path twice. `**` does not follow symbolic links, but the other
    parts of a glob do. A directory that cannot be listed counts as empty. `enters` decides by the
    relative path of a directory if the directory is searched.
    """
    names = [name for name in pattern.split("/") if name]
    return _named(root, "", names, enters)


def _named(
    root: Path, directory: str, names: list[str], enters: Callable[[str], bool]
) -> Iterator[str]:
    """Yield the paths below `directory` that match `names`, the remaining parts of the glob."""
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


def _children(
    root: Path, directory: str, names: list[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield each child that matches the first of `names`, with the names to match below it."""
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
