"""The working tree compared with HEAD and the index, as `git status --porcelain=v2` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from gitorch.git.command import call_git_items
from gitorch.git.repository import Repository


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
    output = call_git_items(
        repo.root,
        # Otherwise git writes its refreshed index, in the way of the user's own git.
        "--no-optional-locks",
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        f"--ignore-submodules={ignore_submodules}",
    )
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
