"""The symlinks of a worktree, to paths of the main worktree that a config's `link` names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gitorch.errors import NotFound, Refused
from gitorch.git.repository import Repository
from gitorch.tools.files import delete, resolved


def link_source(repo: Repository, name: str) -> Path | None:
    """Return the target of a link, or None if there is no such path.

    The main worktree comes first, then the worktree that gitorch was called in.
    """
    for root in (repo.main_root, repo.root):
        if (root / name).exists():
            return root / name
    return None


def require_untracked(tree: Path, link: Sequence[str], commit: str) -> None:
    """Raise Refused if `commit`, just checked out in `tree`, has one of the linked paths itself."""
    for name in link:
        if os.path.lexists(tree / name):
            raise Refused(
                f"link: {name}: commit {commit[:12]} has that path itself",
                "leave it out of link",
            )


def restore_links(repo: Repository, tree: Path, link: Sequence[str]) -> None:
    """Make the symlinks that a task has removed or replaced by files of its own.

    Otherwise the next task would read these files, while the record names the data that is linked.
    Raises NotFound and Refused as `make_links` does.
    """
    for name in link:
        target, source = tree / name, link_source(repo, name)
        _remove_ways_out(tree, name)
        if source is None or not os.path.lexists(target):
            continue
        if not target.is_symlink() or target.readlink() != source:
            delete(target)
    make_links(repo, tree, link)


def _remove_ways_out(tree: Path, name: str) -> None:
    """Remove symlinks above a link through which its path leads out of `tree`.

    What is behind them is not the run's, and must not be deleted in place of the link.
    """
    for parent in reversed(PurePosixPath(name).parents):
        location = tree / parent
        real = resolved(location)
        if location.is_symlink() and not real.is_relative_to(resolved(tree)):
            location.unlink()


def make_links(repo: Repository, tree: Path, link: Sequence[str]) -> None:
    """Make the symlinks that are missing from `tree`.

    Raises NotFound if a linked path does not exist, Refused if a link would lie outside `tree`.
    """
    for name in link:
        target = tree / name
        if os.path.lexists(target):
            continue
        source = link_source(repo, name)
        if source is None:
            raise NotFound(
                f"link: {name}: no such path in {repo.main_root}",
                "create it, or leave it out of link",
            )
        parent = resolved(target.parent)
        if not parent.is_relative_to(resolved(tree)):
            raise Refused(
                f"link: {name}: leads out of the worktree",
                "name a path inside the repository",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
