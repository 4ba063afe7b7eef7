"""Worktrees of some directories of their commit: git's sparse checkout in cone mode.

`git sparse-checkout set` would switch on `extensions.worktreeConfig` in the configuration of the
user's repository. Therefore the patterns are written to the worktree's own `info/sparse-checkout`,
and the settings are given to each git command that writes the worktree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from gitorch.git.command import call_git, call_git_items
from gitorch.model.text.globs import is_in_cone
from gitorch.tools.files import write_aside

_FLAGS = ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=true")


def sparse_flags(sparse: Sequence[str]) -> tuple[str, ...]:
    """Return the options for a git command that writes the files of a worktree."""
    return _FLAGS if sparse else ()


def write_patterns(admin: Path, sparse: Sequence[str]) -> None:
    """Write the patterns of the cone in an administrative directory."""
    if sparse:
        (admin / "info").mkdir(exist_ok=True)
        text = "".join(f"{line}\n" for line in _patterns(sparse))
        write_aside(admin / "info" / "sparse-checkout", os.fsencode(text))


def leave_out(tree: Path, index: Path, sparse: Sequence[str]) -> None:
    """Mark the files outside the cone in an index that git made without it."""
    if not sparse:
        return
    env = {"GIT_INDEX_FILE": str(index)}
    outside = []
    for name in call_git_items(tree, "ls-files", "-z", env=env):
        if not is_in_cone(name, sparse):
            outside.append(os.fsencode(name) + b"\0")
    command = ("update-index", "--skip-worktree", "-z", "--stdin")
    call_git(tree, *command, input=b"".join(outside), env=env)


def _patterns(sparse: Sequence[str]) -> Iterator[str]:
    """Yield the lines that git itself writes for these directories."""
    yield "/*"
    yield "!/*/"
    parents: set[str] = set()
    for name in sparse:
        parents.update(map(str, PurePosixPath(name).parents[:-1]))
    for name in sorted({*parents, *sparse}):
        yield f"/{_escaped(name)}/"
        if name not in sparse:
            yield f"!/{_escaped(name)}/*/"


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[\\])", r"\\\1", name)
