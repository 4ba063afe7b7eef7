"""The files of a finished run, which are removed before its worktree is handed on to another."""

from __future__ import annotations

import os
from pathlib import Path

from gitorch.git.worktree.stat_index import StatIndex
from gitorch.tools.files import delete


def remove_untracked(path: Path, files: StatIndex) -> bool:
    """Remove everything from the worktree that is not among its tracked files.

    Return False if the permissions of a directory have changed.
    """
    tracked = {
        b".git",
        *files.directories,
        *(entry.path for entry in files.entries),
    }
    mode = path.stat().st_mode
    # Paths are bytes, and `os.path` is used: this walks every directory of each worktree that is
    # handed on.
    for inside in (b"", *files.directories):
        directory = os.path.join(os.fsencode(path), inside)  # noqa: PTH118
        if os.stat(directory).st_mode != mode:  # noqa: PTH116
            return False
        for name in os.listdir(directory):  # noqa: PTH208
            if os.path.join(inside, name) not in tracked:  # noqa: PTH118
                delete(Path(os.fsdecode(directory), os.fsdecode(name)))
    return True
