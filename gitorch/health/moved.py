"""Checks of what a repository that was moved has left at its former path.

By default the workspace lies beside the repository, so `mv` of the repository leaves it there.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gitorch.errors import Busy, Refused
from gitorch.git.worktree import admin
from gitorch.git.worktree.trash import trash
from gitorch.health.checkup import Checkup, Finding, named
from gitorch.model.run.ids import is_run_id
from gitorch.model.run.record import Record
from gitorch.model.run.status import LIVE
from gitorch.model.text.phrases import some
from gitorch.storage.run_directories import has_unkept_files
from gitorch.storage.site import Site
from gitorch.tools.files import delete, resolved
from gitorch.tools.locks import is_held
from gitorch.tools.private import private_directory, require_private
from gitorch.tools.random_names import random_hex

# What gitorch makes again when it needs it.
_CACHES = ("trash", "scratch", "templates", "environments")
_CHECKOUTS = "checkouts"
_NAMED = 3


class Former(NamedTuple):
    """A workspace that the repository had before it was moved, and its git directory then."""

    workspace: Path
    common_dir: Path


def check_moved(checkup: Checkup) -> Iterator[Finding]:
    """Find the workspace of a former path, and entries of worktrees that are gone."""
    site = checkup.site
    for former in _former_workspaces(site):
        own = _own_runs(checkup, former)
        if not own and former.common_dir.exists():
            continue  # another repository is at the former path, and uses the workspace
        message = (
            f"the repository was moved here, and {former.workspace} stayed behind"
        )
        if own:
            message += f" with the files of {some([named(record) for record in own], _NAMED)}"
        bring_over = partial(_bring_over, checkup, former, own)
        yield checkup.repairable("former-workspace", message, repair=bring_over)
    gone = _gone_worktrees(site)
    if gone:
        trees = some([str(tree) for tree in gone.values()], _NAMED)
        message = (
            f"worktrees of a former path are gone, and still listed by git: {trees}"
        )
        forget = partial(_forget, gone)
        yield checkup.repairable("worktree-entry", message, repair=forget)


def _former_workspaces(site: Site) -> Iterator[Former]:
    """Yield the workspaces of former paths that exist.

    Former paths are noted, and the worktrees of a workspace tell where they were made.
    """
    repository = site.repository
    found = {}
    for common_dir in repository.former_homes():
        home = common_dir.parent if common_dir.name == ".git" else common_dir
        found[repository.workspace_at(home)] = common_dir
    for tree in _registered(site).values():
        pointed = admin.read_git_file(tree)
        workspace = _workspace_of(tree)
        if pointed is None or workspace is None:
            continue
        if pointed.parents[1] != repository.common_dir:
            found[workspace] = pointed.parents[1]
    for workspace, common_dir in found.items():
        if workspace != site.workspace and workspace.is_dir():
            yield Former(workspace, common_dir)


def _registered(site: Site) -> dict[Path, Path]:
    """Return the worktrees of other workspaces, by their administrative directories."""
    current = resolved(site.workspace)
    trees = {}
    for entry in sorted((site.repository.common_dir / "worktrees").glob("*")):
        tree = admin.tree_of(site.repository, entry)
        if tree is not None and _workspace_of(tree) not in (None, current):
            trees[entry] = tree
    return trees


def _workspace_of(tree: Path) -> Path | None:
    """Return the workspace of a worktree that gitorch has made there, by its path."""
    if tree.name == "tree" and is_run_id(tree.parent.name):
        return tree.parents[1]
    if tree.parent.name == _CHECKOUTS and is_run_id(tree.name):
        return tree.parents[1]
    return None


def _gone_worktrees(site: Site) -> dict[Path, Path]:
    """Return the worktrees of former paths that do not exist, by administrative directory."""
    registered = _registered(site)
    return {entry: tree for entry, tree in registered.items() if not tree.exists()}


def _forget(gone: Mapping[Path, Path]) -> None:
    for entry in gone:
        delete(entry)


def _own_runs(checkup: Checkup, former: Former) -> list[Record]:
    """Return the runs of this clone that have a directory in the former workspace."""
    own = []
    for record in checkup.records:
        path = former.workspace / record.id
        if path.is_dir() and not path.is_symlink():
            own.append(record)
    return own


def _bring_over(checkup: Checkup, former: Former, own: Sequence[Record]) -> None:
    """Move what is needed to the present workspace, and remove what gitorch can make again."""
    site = checkup.site
    if any(is_held(lock) for lock in (site.state / "workers").glob("*.lock")):
        raise Busy("a worker is running", "repeat this when it has ended")
    require_private(former.workspace)
    site.repository.make_workspace()
    for record in own:
        path = former.workspace / record.id
        target = site.workspace / record.id
        if record.status in LIVE or has_unkept_files(record):
            _move(site, path, target, target / "tree")
        else:
            path.rename(trash(site.repository) / f"{record.id}.{random_hex(6)}")
    for tree in list(_registered(site).values()):
        if tree.parent == former.workspace / _CHECKOUTS and tree.exists():
            target = site.workspace / _CHECKOUTS / tree.name
            _move(site, tree, target, target)
    if not former.common_dir.exists():
        _remove_rest(former)


def _move(site: Site, path: Path, target: Path, tree: Path) -> None:
    """Move a directory unless there is one already. Reconnect the worktree in it."""
    if os.path.lexists(target):
        return
    private_directory(target.parent)
    shutil.move(path, target)  # to another file system, if it must be
    admin.repair(site.repository, tree)


def _remove_rest(former: Former) -> None:
    """Remove the former workspace. Raises Refused if it has files that may be needed."""
    workspace = former.workspace
    for name in _CACHES:
        delete(workspace / name)
    with suppress(OSError):
        (workspace / _CHECKOUTS).rmdir()
    names = sorted(entry.name for entry in workspace.iterdir())
    if names:
        raise Refused(
            f"it still has {some(names, _NAMED)}",
            "see if you need any of it, then remove it: "
            + shlex.join(["rm", "-r", str(workspace)]),
        )
    workspace.rmdir()
