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
from gitorch.tools.files import resolved
from gitorch.tools.globbing import named

_FileId = tuple[int, int]

# Links that lead to each other's directories can be followed in very many ways.
_MOST_LINKS = 10_000
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


def files_at(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the file at `path` with its name, or all files below that directory.

    The names begin with `name`. Links are followed, except broken ones and those that lead to a
    directory that they are in. Raises OSError, Unusable.
    """
    linked = 0
    # The directories and files still to be visited, the next one last; and the directories that
    # each is in, by device and inode.
    to_visit: list[tuple[str, Path, frozenset[_FileId]]] = [
        (name, path, frozenset())
    ]
    while to_visit:
        name, path, above = to_visit.pop()
        try:
            facts = path.stat()
        except OSError as error:
            if error.errno in _LEADS_NOWHERE:
                continue
            raise
        if not stat.S_ISDIR(facts.st_mode):
            yield name, path
            continue
        directory = facts.st_dev, facts.st_ino
        if directory in above or _leads_up(path):
            continue
        linked += path.is_symlink()
        if linked > _MOST_LINKS:
            raise Unusable(
                f"{name} is one of more than {_MOST_LINKS} links to directories",
                "name the files of the input more exactly",
            )
        inside = above | {directory}
        for child in sorted(os.listdir(path), reverse=True):  # noqa: PTH208 - only the names
            if child != ".git":
                child_name = child if name == "." else f"{name}/{child}"
                to_visit.append((child_name, path / child, inside))


def _leads_up(path: Path) -> bool:
    """Return True if `path` is a link to a directory that contains the link."""
    if not path.is_symlink():
        return False
    return resolved(path.parent).is_relative_to(resolved(path))


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
