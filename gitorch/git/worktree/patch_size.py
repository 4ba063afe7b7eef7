"""The changed files of a worktree that are too large for a patch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gitorch.git.worktree.contract import LARGEST_DIFF, LARGEST_DIFFS
from gitorch.git.worktree.stat_index import sizes_in


def without_place_in_patch(
    path: Path, kept: Path, files: Sequence[str]
) -> list[str]:
    """Return the files that are too large for the patch, or for which it has no space left.

    git and gitorch hold the patch in memory. It has the old content of a binary file, too. `kept`
    is the index of the worktree at `path` before the changes.
    """
    before = sizes_in(kept)
    total = 0
    large = []
    for name in files:
        size = max(_size(path / name), before.get(os.fsencode(name), 0))
        if size > LARGEST_DIFF or total + size > LARGEST_DIFFS:
            large.append(name)
        else:
            total += size
    return large


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
