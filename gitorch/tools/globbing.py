"""Globs matched with what is on disk; what they mean is in `model/globs.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gitorch.model.text.globs import is_glob, matcher


def named(
    root: Path, pattern: str, *, enters: Callable[[str], bool] = lambda path: True
) -> Iterator[str]:
    """What the glob itself names below `root`, files and directories, relative to it; some twice where it has two `**`.

    Links are followed where the glob leads through them, `**` follows none. Directories that cannot be listed have
    nothing in them; those for which `enters` says no, asked with their relative path, are not looked into.
    """
    return _named(root, "", [name for name in pattern.split("/") if name], enters)


def _named(root: Path, at: str, names: list[str], enters: Callable[[str], bool]) -> Iterator[str]:
    name, rest = names[0], names[1:]
    if name == "**":
        if not rest:
            yield at or "."
            return
        yield from _named(root, at, rest, enters)
        found = [
            (child.name, names)
            for child in _listed(root / at)
            if child.is_dir(follow_symlinks=False)
        ]
    elif is_glob(name):
        fits = matcher(name).fullmatch
        found = [(child.name, rest) for child in _listed(root / at) if fits(child.name)]
    else:
        found = [(name, rest)] if os.path.lexists(root / at / name) else []
    for child, following in found:
        path = f"{at}/{child}" if at else child
        if not following:
            yield path
        elif enters(path) and (root / path).is_dir():
            yield from _named(root, path, following, enters)


def _listed(directory: Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return ()
