"""The files that the glob of an input names: below a directory on disk, links followed."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

from gitorch.model.text.globs import matcher
from gitorch.storage.contents import Location, Unusable
from gitorch.tools.globbing import named

_LEADS_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def files_on_disk(
    root: Path, pattern: str, prefix: str
) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of the files that a glob names below `root`, except git's own.

    `prefix` is put before each name.
    """
    for start in named(root, fixed_part(pattern), enters=_is_not_of_git):
        for name, path in matching_files(root, pattern, start):
            yield prefix + name, path


def _is_not_of_git(path: str) -> bool:
    return posixpath.basename(path) != ".git"


def fixed_part(pattern: str) -> str:
    """Return the part of a glob before the first `**`, which stands for everything below it."""
    return pattern.partition("**")[0].rstrip("/") or "."


def matching_files(
    root: Path, pattern: str, start: str
) -> Iterator[tuple[str, Path]]:
    """Yield the files at or below `start`, relative to `root`, that the glob names."""
    is_named = matcher(pattern).fullmatch
    for name, path in files_at(root / start, start):
        if is_named(name):
            yield name, path


def files_at(
    path: Path, name: str, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, Path]]:
    """Yield the file at `path` with its name, or all files below that directory.

    The names begin with `name`. Links are followed, except circular and broken ones. `above` has
    the device and inode of each directory on the way. Raises OSError.
    """
    try:
        facts = path.stat()
    except OSError as error:
        if error.errno in _LEADS_NOWHERE:
            return
        raise
    if not stat.S_ISDIR(facts.st_mode):
        yield name, path
        return
    directory = facts.st_dev, facts.st_ino
    if directory in above:
        return
    for child in sorted(entry.name for entry in os.scandir(path)):
        if child != ".git":
            child_name = child if name == "." else f"{name}/{child}"
            yield from files_at(path / child, child_name, above | {directory})


def is_in(path: str, directory: str) -> bool:
    """Return True if `path` is the directory, or lies in it."""
    return directory == "." or f"{path}/".startswith(f"{directory}/")


def can_reach(pattern: str, path: str) -> bool:
    """Return True if a glob can name something at `path` or below it."""
    leading = pattern.split("/")[: path.count("/") + 1]
    if "**" in leading:
        leading = leading[: leading.index("**") + 1]
    return matcher("/".join(leading)).fullmatch(path) is not None


def require_readable_file(name: str, location: Location) -> None:
    """Raise Unusable if the input is on this machine and is not a file that can be read."""
    if not isinstance(location, Path):
        return
    if not stat.S_ISREG(location.stat().st_mode):
        raise Unusable(
            f"{name} is neither a file nor a directory",
            "an input must be a file that can be read from beginning to end",
        )
    if not os.access(location, os.R_OK):
        raise Unusable(f"{name} may not be read", f"chmod u+r {location}")
