"""The trash of the workspace: worktrees are moved there quickly and deleted later."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import (
    admin_directory,
    is_admin,
    is_ours,
    read_git_file,
    read_mark,
    tree_of,
)
from gitorch.tools import clock
from gitorch.tools.faults import boundary
from gitorch.tools.files import delete, resolved
from gitorch.tools.locks import only_one_at
from gitorch.tools.private import change_mode, private_directory
from gitorch.tools.random_names import random_hex

_ABANDONED_S = 3600.0


def trash(repo: Repository) -> Path:
    """Return the directory whose content may be deleted at any time; create it if missing."""
    repo.make_workspace()
    directory = repo.workspace / "trash"
    private_directory(directory)
    return directory


def move_to_trash(repo: Repository, path: Path) -> None:
    """Move the directory at `path`, if there is one, to the trash, to be deleted later."""
    with suppress(FileNotFoundError):
        _move_to_trash(repo, path)


def throw_away(repo: Repository, path: Path) -> None:
    """Forget the worktree at `path`, if there is one, and move its files to the trash.

    Raises Refused if gitorch did not make the directory at `path`.
    """
    admins = [admin_directory(repo, path)]
    if os.path.lexists(path):
        if not is_ours(repo, path):
            raise Refused(
                f"{path} is in the way: gitorch did not make it",
                "move it away, or choose another directory",
            )
        mark = read_mark(repo, path)
        trees = [path]
        if mark:
            trees += [path / name for name in mark.submodules]
        for tree in trees:
            pointed = read_git_file(tree)
            if pointed is not None and is_admin(repo, pointed):
                admins.append(pointed)
        _move_to_trash(repo, path)
    for directory in admins:
        delete(directory)


def throw_away_submodule(repo: Repository, path: Path) -> None:
    """Remove a submodule that the commit no longer has."""
    directory = read_git_file(path)
    delete(path)
    if directory is not None and is_admin(repo, directory):
        delete(directory)


def empty_trash(repo: Repository) -> None:
    """Delete the content of the trash, and forget worktrees whose files are gone.

    A crash, or a person's `rm -r`, leaves a worktree without files. The deletion takes as long as
    the disk needs. Other processes may use the workspace at the same time.
    """
    if not (repo.workspace / "trash").is_dir():
        # Nothing was thrown away, or the workspace is not mounted. If it is not mounted, no missing
        # file can be called gone.
        return
    for entry in _entries(trash(repo)):
        delete(entry)
    for unfinished in (repo.store_dir / "tmp").glob("worktree-*"):
        with suppress(FileNotFoundError):
            age_s = time.time() - clock.jump_s() - unfinished.stat().st_mtime
            if age_s > _ABANDONED_S:
                delete(unfinished)
    for admin in _entries(repo.common_dir / "worktrees"):
        _forget_if_abandoned(repo, admin)


def _forget_if_abandoned(repo: Repository, admin: Path) -> None:
    """Delete an administrative directory of gitorch whose worktree in the workspace is gone."""
    tree = tree_of(repo, admin)
    if tree is None or not tree.is_relative_to(resolved(repo.workspace)):
        return
    if not tree.parent.exists():
        delete(admin)
    elif _is_abandoned(admin, tree):
        with only_one_at(tree):  # the worktree may be in the making
            if _is_abandoned(admin, tree):
                delete(admin)


def empty_trash_later(repo: Repository) -> None:
    """Start a process that deletes the content of the trash, and return at once.

    The process has the lowest priority, since tasks may need all processors.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(repo.workspace / "trash", flags)
    except (FileNotFoundError, NotADirectoryError):
        return  # nothing was thrown away, or a link is there, whose target is not gitorch's
    try:
        subprocess.run(
            ["sh", "-c", "nice -n 19 rm -rf -- ./* >/dev/null 2>&1 </dev/null &"],
            cwd=f"/proc/self/fd/{descriptor}",
            start_new_session=True,
            check=False,
        )
    finally:
        os.close(descriptor)


def _is_abandoned(admin: Path, tree: Path) -> bool:
    pointed = read_git_file(tree)
    return pointed is None or pointed.name != admin.name


def _move_to_trash(repo: Repository, path: Path) -> None:
    name = f"{path.name}.{random_hex(6)}"
    try:
        path.rename(repo.workspace / "trash" / name)
    except OSError:
        # The trash is missing, or the directory lacks the write permission that a move needs.
        with suppress(NotADirectoryError):
            change_mode(path, path.lstat().st_mode | 0o700)
        try:
            path.rename(trash(repo) / name)
        except OSError:  # another file system
            delete(path.rename(path.with_name(f".{name}")))
    boundary()


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return []
