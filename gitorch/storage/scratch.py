"""A temporary worktree for checks: files that validate() writes there never reach a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gitorch.storage.leftovers import SCRATCH_LOCK
from gitorch.storage.site import Site
from gitorch.tools.locks import taken
from gitorch.tools.private import private_directory
from gitorch.tools.random_names import random_hex


@contextmanager
def scratch(
    site: Site, commit: str, *, link: Sequence[str] = (), sparse: Sequence[str] = ()
) -> Iterator[Path]:
    """Provide a worktree at `commit` that is removed afterwards.

    Raises GitorchError or OSError if the worktree cannot be created.
    """
    tree = site.workspace / "scratch" / random_hex(6) / "tree"
    private_directory(site.workspace)
    try:
        with taken(tree.parent / SCRATCH_LOCK):
            site.worktrees.materialise(commit, tree, link=link, sparse=sparse)
            yield tree
    finally:
        site.worktrees.discard(tree)
        shutil.rmtree(tree.parent, ignore_errors=True)
        site.worktrees.empty_trash()


def output_in(tree: Path) -> str:
    """Return the output directory that tasks receive while they are checked in `tree`."""
    return str(tree.parent / "output")
