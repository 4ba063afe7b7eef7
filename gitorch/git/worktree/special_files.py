"""Pipes and devices in a worktree where git reads files.

git opens `.gitattributes` and `.gitignore` without asking what they are, and would wait for ever.
It refuses a tracked file of such a type. No commit can contain a pipe or a device, so a task made
those that are found. They are removed.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from gitorch.git.worktree.stat_index import LARGEST_INDEX, StatIndex
from gitorch.tools.untrusted import read_plain

_NAMES = (b".gitattributes", b".gitignore", b".gitmodules")
_POSSIBLE = frozenset({stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR})


def remove_special_files(
    tree: Path, index_file: Path, *, everywhere: bool = False
) -> None:
    """Remove them from the places of tracked files, and from the directories of these files.

    All directories are searched if git is to write other files than the tracked ones, or if the
    index is not plain, since there may be submodules.
    """
    tracked = None
    if not everywhere:
        tracked = _tracked(tree, index_file)
    for path in tracked or _below(tree):
        try:
            kind = stat.S_IFMT(os.lstat(path).st_mode)
        except OSError:
            continue
        if kind not in _POSSIBLE:
            os.unlink(path)  # noqa: PTH108


def _tracked(tree: Path, index_file: Path) -> list[bytes] | None:
    """Return the paths where git looks. Return None if the index is not plain."""
    try:
        index = StatIndex(read_plain(index_file, LARGEST_INDEX))
    except (OSError, ValueError, struct.error):
        return None
    names = [entry.path for entry in index.entries]
    names += _NAMES
    for directory in index.directories:
        for name in _NAMES:
            names.append(b"%s/%s" % (directory, name))
    top = os.fsencode(tree)
    return [os.path.join(top, name) for name in names]  # noqa: PTH118


def _below(tree: Path) -> Iterator[bytes]:
    """Yield the paths of everything below the worktree that is not a directory."""
    pending = [os.fsencode(tree)]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as found:
                entries = list(found)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            else:
                yield entry.path
