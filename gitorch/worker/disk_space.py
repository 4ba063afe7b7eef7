"""The space on the disk of the workspace. Without it no task can start, whatever its run is."""

from __future__ import annotations

import errno
from pathlib import Path

from gitorch.errors import GitorchError
from gitorch.git.command import GitFailed
from gitorch.tools.room import why_full

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_IN_WORDS = ("No space left on device", "Disk quota exceeded")


class DiskFull(GitorchError):
    """A disk that has no space for another task."""

    kind = "disk-full"

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(
            f"no more tasks are started, because the disk of {directory} is full: {reason}",
            "make room; the waiting runs are still queued: gitorch run",
        )


def require_space(directory: Path) -> None:
    """Raise DiskFull if the disk of an existing directory is full."""
    reason = why_full(directory)
    if reason is not None:
        raise DiskFull(directory, reason)


def disk_full(directory: Path, error: GitorchError | OSError) -> DiskFull | None:
    """Return DiskFull if this is why a task could not be prepared in `directory`."""
    if isinstance(error, DiskFull):
        return error
    if isinstance(error, OSError) and error.errno in _FULL:
        return DiskFull(directory, str(error))
    is_failure_of_git = isinstance(error, GitFailed)
    if is_failure_of_git and any(words in str(error) for words in _FULL_IN_WORDS):
        return DiskFull(directory, str(error))
    return None
