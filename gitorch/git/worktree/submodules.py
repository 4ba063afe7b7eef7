"""The submodules of a worktree of gitorch, which `git worktree add` leaves empty."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gitorch.errors import GitorchError, Refused
from gitorch.git.command import (
    GitFailed,
    call_git,
    call_git_items,
    call_git_text,
    run_git,
)
from gitorch.git.repository import Repository
from gitorch.git.worktree.admin import LOCK_REASON
from gitorch.git.worktree.contract import Lacking
from gitorch.git.worktree.git_options import checkout_flags
from gitorch.git.worktree.large_files import (
    fetch_pointers,
    missing_files_named,
    require_content,
)
from gitorch.tools.files import delete

_LEFT_OUT = "S"  # skip-worktree: outside the cone of a sparse worktree


class _Submodule(NamedTuple):
    """A submodule of the work tree `tree`, with the commit that is recorded for it."""

    tree: Path
    name: str
    path: str
    commit: str

    @property
    def directory(self) -> Path:
        return self.tree / self.path


def fill_submodules(
    repo: Repository, tree: Path, lock: int, lacking: Lacking | None = None
) -> tuple[str, ...]:
    """Bring every submodule of `tree` exactly to its recorded commit; return their paths.

    Nested submodules are included. If the repository's own copy of the submodule has the commit,
    the files come from this copy, without network. Otherwise the files come from the submodule's
    URL. Raises Refused if neither source works, or if an LFS file cannot have its content. With
    `lacking`, such a submodule or file is added to `lacking` instead, and submodules that have
    files already stay as they are.
    """
    if not (tree / ".gitmodules").exists():
        return ()
    where = ("rev-parse", "--path-format=absolute", "--git-common-dir")
    common = Path(call_git_text(tree, *where))
    filled: list[str] = []
    for submodule in _recorded(tree):
        own = None if lacking is None else Lacking()
        filled += _paths_filled(repo, submodule, common, lock, own)
        if lacking is not None and own is not None:
            lacking.add(own, submodule.path)
    return tuple(filled)


def _paths_filled(
    repo: Repository,
    submodule: _Submodule,
    common: Path,
    lock: int,
    lacking: Lacking | None,
) -> list[str]:
    """Fill a submodule and those in it; return their paths.

    The paths in `lacking` are relative to the submodule, which itself is called "".
    """
    directory = submodule.directory
    flags = checkout_flags(repo, partly=lacking is not None)
    if lacking is None:
        with missing_files_named(repo, submodule.commit, of_submodule=True):
            _fill(submodule, common, flags, lock)
    elif (directory / ".git").exists():
        fetch_pointers(repo, directory, _index_of(directory), flags)
    elif not _could_fill(submodule, common, flags, lock, lacking):
        return []
    index = _index_of(directory)
    require_content(
        repo, directory, index, submodule.commit, lacking, of_submodule=True
    )
    nested = fill_submodules(repo, directory, lock, lacking)
    return [submodule.path, *(f"{submodule.path}/{path}" for path in nested)]


def _could_fill(
    submodule: _Submodule,
    common: Path,
    flags: tuple[str, ...],
    lock: int,
    lacking: Lacking,
) -> bool:
    """Fill a submodule. If git cannot fetch it, note that, and leave an empty directory."""
    directory = submodule.directory
    if directory.exists() and any(directory.iterdir()):
        lacking.submodules[""] = Refused(
            f"the directory of the submodule {submodule.path} has other files",
            f"mv {shlex.quote(str(directory))} ELSEWHERE",
        )
        return False
    try:
        _fill(submodule, common, flags, lock)
    except GitorchError as error:
        delete(directory)
        directory.mkdir()
        lacking.submodules[""] = error
        return False
    return True


def _recorded(tree: Path) -> Iterator[_Submodule]:
    """Yield the submodules that both the index and `.gitmodules` list."""
    commits: dict[str, str] = {}
    for item in call_git_items(tree, "ls-files", "-t", "--stage", "-z"):
        facts, _, path = item.partition("\t")
        tag, mode, oid, _ = facts.split(" ")
        if mode == "160000" and tag != _LEFT_OUT:
            commits[path] = oid
    if not commits:
        return
    command = (
        "config",
        "--file",
        ".gitmodules",
        "-z",
        "--get-regexp",
        r"^submodule\..*\.path$",
    )
    output = os.fsdecode(run_git(tree, *command).stdout)
    for item in output.split("\0"):
        key, _, path = item.partition("\n")
        if path in commits:
            name = key.removeprefix("submodule.").removesuffix(".path")
            yield _Submodule(tree, name, path, commits[path])


def _fill(
    submodule: _Submodule, common: Path, flags: tuple[str, ...], lock: int
) -> None:
    directory = submodule.directory
    if (directory / ".git").exists():
        try:
            _reset(directory, submodule.commit, flags, lock)
        except GitFailed:
            # The submodule cannot be read, or lacks the commit: make it from nothing.
            delete(directory)
            directory.mkdir()
        else:
            return
    own = common / "modules" / submodule.name
    if _has_commit(own, submodule.commit):
        options = ("--detach", "-f", "-f", "--lock", "--reason", LOCK_REASON)
        command = (
            f"--git-dir={own}",
            "-c",
            "core.worktree=",
            *flags,
            "worktree",
            "add",
            *options,
        )
        call_git(submodule.tree, *command, directory, submodule.commit, lock=lock)
    else:
        _update(submodule, flags, lock)


def _reset(directory: Path, commit: str, flags: tuple[str, ...], lock: int) -> None:
    _index_of(directory).unlink(missing_ok=True)
    # HEAD is detached first, because `reset` would move the branch that is checked out.
    call_git(directory, "update-ref", "--no-deref", "HEAD", commit)
    call_git(directory, *flags, "reset", "--hard", "--quiet", commit, lock=lock)


def _index_of(directory: Path) -> Path:
    where = ("rev-parse", "--path-format=absolute", "--git-path", "index")
    return Path(call_git_text(directory, *where))


def _update(submodule: _Submodule, flags: tuple[str, ...], lock: int) -> None:
    """Clone or fetch the submodule from its URL."""
    # Not `submodule init`, which would write to the user's configuration.
    active = ("-c", f"submodule.{submodule.name}.active=true")
    command = ("submodule", "update", "--quiet", "--checkout", "--", submodule.path)
    try:
        call_git(submodule.tree, *flags, *active, *command, lock=lock)
    except GitFailed as error:
        commit = submodule.commit[:12]
        raise Refused(
            f"the submodule {submodule.path} is needed at {commit}, "
            f"which this clone does not have and git cannot fetch: {_reason(error.stderr)}",
            "git submodule update --init --recursive; if its URL has changed, first "
            f"git config {shlex.quote(f'submodule.{submodule.name}.url')} URL",
        ) from error


def _reason(stderr: str) -> str:
    """Return the first error of `git submodule update`, which tries twice."""
    for line in stderr.splitlines():
        if line.startswith(("fatal: ", "error: ")):
            return line.partition(": ")[2]
    return stderr.strip()


def _has_commit(git_dir: Path, commit: str) -> bool:
    if ".." in git_dir.parts or not git_dir.is_dir():
        return False
    exists = ("cat-file", "-e", f"{commit}^{{commit}}")
    return run_git(git_dir, f"--git-dir={git_dir}", *exists).returncode == 0
