"""The differences between a worktree here and one that git makes on a host of the same commit.

The files of submodules are missing there, and so is what a filter writes in place of a file of git,
as Git LFS does. A sparse worktree lacks files that are there.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from gitorch.engines.dask.files import Tree, entry_of, walk_submodule

_SUBMODULE = "160000"
_LEFT_OUT = "S"  # the tag of a path outside the cone of a sparse worktree
_UNFILTERED = ("unspecified", "unset")


class BeyondGit(NamedTuple):
    """The paths of a commit that are not as in git's objects."""

    submodules: tuple[str, ...]
    filtered: tuple[str, ...]
    left_out: tuple[str, ...]

    def files(self, tree: Path) -> Tree:
        """Return the state of these paths in a worktree."""
        found: Tree = dict.fromkeys(self.left_out, ("gone",))
        for path in self.filtered:
            entry = entry_of(tree / path) if os.path.lexists(tree / path) else None
            found[path] = entry or ("gone",)
        for submodule in self.submodules:
            found.update(walk_submodule(tree, submodule))
        return found


# By commit and cone. The worktrees of one commit are alike.
_known: dict[tuple[str, bytes], BeyondGit] = {}


def beyond_git(tree: Path, admin: Path, commit: str) -> BeyondGit:
    """Return what is beyond git in a worktree at a commit. `admin` is git's directory for it."""
    sparse = admin / "info" / "sparse-checkout"
    key = commit, sparse.read_bytes() if sparse.exists() else b""
    if key not in _known:
        _known[key] = _listed(tree)
    return _known[key]


def _listed(tree: Path) -> BeyondGit:
    submodules, left_out, paths = [], [], []
    for item in _git(tree, b"", "ls-files", "-t", "--stage", "-z"):
        facts, _, path = item.partition("\t")
        tag, mode, _, _ = facts.split(" ")
        if tag == _LEFT_OUT:
            left_out.append(path)
        elif mode == _SUBMODULE:
            submodules.append(path)
        else:
            paths.append(path)
    names = b"".join(os.fsencode(path) + b"\0" for path in paths)
    answers = iter(_git(tree, names, "check-attr", "-z", "--stdin", "filter"))
    filtered = []
    for path, _, value in zip(answers, answers, answers, strict=True):
        if value not in _UNFILTERED:
            filtered.append(path)
    return BeyondGit(tuple(submodules), tuple(filtered), tuple(left_out))


def _git(tree: Path, given: bytes, *words: str) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(tree), *words],
        input=given,
        capture_output=True,
        check=True,
    )
    return os.fsdecode(done.stdout).split("\0")[:-1]
