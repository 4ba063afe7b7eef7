"""The free space of file systems."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gitorch.tools.untrusted import in_mebibytes

# With less space than this, a disk is full: a worktree and the log of a task would not fit.
_LEAST = 1 << 20  # bytes
_SHARE = 20  # a margin is at most the twentieth part of a disk
FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def why_too_large(directory: Path, size: int, *, margin: int) -> str | None:
    """Return why a file of `size` bytes does not fit on a directory's disk, None if it fits.

    A file that fits leaves at least `margin` bytes free, or less on a small disk.
    """
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    if size <= free - _margin_on(disk, margin):
        return None
    return (
        f"it has {in_mebibytes(size)}, "
        f"and the disk of {directory} has {in_mebibytes(free)} left"
    )


def why_full(directory: Path) -> str | None:
    """Return a text if the disk of `directory` has no space or no inodes left, None if it has."""
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    if free < _margin_on(disk, _LEAST):
        return f"{in_mebibytes(free)} are left"
    if disk.f_files and not disk.f_favail:
        return "no inodes are left"
    return None


def _margin_on(disk: os.statvfs_result, margin: int) -> int:
    return min(margin, disk.f_blocks * disk.f_frsize // _SHARE)
