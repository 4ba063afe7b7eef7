"""The working tree compared with HEAD and the index, as `git status --porcelain=v2` prints it.

Edits that a flag in the index hides from `git status` are included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gitorch.git.command import call_git_items
from gitorch.git.file_system import comparing_settings
from gitorch.git.hidden import flagged_files, index_without_flags
from gitorch.git.neutral import options
from gitorch.git.repository import Repository
from gitorch.git.worktree.large_files import lfs_settings


class StatusKind(Enum):
    """What a line of the status is about, by its first character."""

    CHANGED = "1"
    UNMERGED = "u"
    UNTRACKED = "?"


class StatusItem(NamedTuple):
    """One path that differs. The path of a nested repository ends with a slash.

    `submodule` is "N..." if the path is not a submodule. For a submodule it is "S", followed by "C"
    for a new commit, "M" for changes and "U" for untracked files in it, each of them "." if not so.
    """

    kind: StatusKind
    path: str
    submodule: str


def read_status(
    repo: Repository, *, ignore_submodules: str
) -> Iterator[StatusItem]:
    """Yield everything that is not committed; `ignore_submodules` is git's option of that name."""
    flagged = flagged_files(
        repo.root, submodules=(repo.root / ".gitmodules").exists()
    )
    own, of_submodules = _by_repository(repo.root, flagged)
    flags = options({**comparing_settings(repo), **lfs_settings(repo)})
    command = (
        *flags,
        # Otherwise git writes its refreshed index, in the way of the user's own git.
        "--no-optional-locks",
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        f"--ignore-submodules={ignore_submodules}",
    )
    with index_without_flags(repo.root, own, flags) as env:
        output = call_git_items(repo.root, *command, env=env)
    for path, files in of_submodules.items():
        if _has_edits(repo.root / path, files, flags):
            yield StatusItem(StatusKind.CHANGED, path, "S.M.")
    for item in output:
        match item[0]:
            case "?":
                yield StatusItem(StatusKind.UNTRACKED, item[2:], "N...")
            case "1":
                _, _, submodule, _, _, _, _, _, path = item.split(" ", 8)
                yield StatusItem(StatusKind.CHANGED, path, submodule)
            case "u":
                _, _, submodule, *_, path = item.split(" ", 10)
                yield StatusItem(StatusKind.UNMERGED, path, submodule)


def _by_repository(
    root: Path, files: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the files of the repository itself, and those of each submodule by its path."""
    own: list[str] = []
    of_submodules: dict[str, list[str]] = {}
    for path in files:
        for parent in reversed(PurePosixPath(path).parents[:-1]):
            if (root / parent / ".git").exists():
                inside = PurePosixPath(path).relative_to(parent)
                of_submodules.setdefault(str(parent), []).append(str(inside))
                break
        else:
            own.append(path)
    return own, of_submodules


def _has_edits(submodule: Path, files: Sequence[str], flags: Sequence[str]) -> bool:
    """Return True if one of the files of a submodule differs from its index."""
    own, of_submodules = _by_repository(submodule, files)
    differing = (*flags, "diff", "--name-only", "-z")
    with index_without_flags(submodule, own, flags) as env:
        if own and call_git_items(submodule, *differing, env=env):
            return True
    return any(
        _has_edits(submodule / path, nested, flags)
        for path, nested in of_submodules.items()
    )
