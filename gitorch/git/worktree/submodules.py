"""The submodules of a worktree of gitorch's, which `git worktree add` leaves empty."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.command import GitFailed, call_git, call_git_items, call_git_text, run_git
from gitorch.git.worktree.admin import LOCK_REASON, delete


def fill_submodules(tree: Path, flags: tuple[str, ...], lock: int) -> tuple[str, ...]:
    """Bring every submodule of `tree`, nested ones too, exactly to the commit recorded for it; gives their paths.

    Taken without network from the repository's own copy where that has the commit, else cloned from the submodule's
    URL. Raises Refused where neither works.
    """
    if not (tree / ".gitmodules").exists():
        return ()
    common = Path(call_git_text(tree, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    filled: list[str] = []
    for name, place, commit in _recorded(tree):
        _fill(tree / place, tree, name, place, commit, common, flags, lock)
        filled += [
            place,
            *(f"{place}/{inner}" for inner in fill_submodules(tree / place, flags, lock)),
        ]
    return tuple(filled)


def _recorded(tree: Path) -> Iterator[tuple[str, str, str]]:
    """Name, path and commit of each submodule: what both the index and `.gitmodules` know."""
    items = call_git_items(tree, "ls-files", "--stage", "-z")
    commits = {
        path: meta.split()[1]
        for meta, _, path in (item.partition("\t") for item in items)
        if meta[:6] == "160000"
    }
    if not commits:
        return
    paths = run_git(
        tree, "config", "--file", ".gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$"
    ).stdout
    for item in os.fsdecode(paths).split("\0"):
        key, _, path = item.partition("\n")
        if path in commits:
            yield key.removeprefix("submodule.").removesuffix(".path"), path, commits[path]


def _fill(
    place: Path,
    tree: Path,
    name: str,
    path: str,
    commit: str,
    common: Path,
    flags: tuple[str, ...],
    lock: int,
) -> None:
    if (place / ".git").exists():
        try:
            index = call_git_text(
                place, "rev-parse", "--path-format=absolute", "--git-path", "index"
            )
            Path(index).unlink(missing_ok=True)
            call_git(
                place, "update-ref", "--no-deref", "HEAD", commit
            )  # detached: `reset` would move a branch along
            call_git(place, *flags, "reset", "--hard", "--quiet", commit, inherit=(lock,))
        except GitFailed:
            delete(place)  # it cannot be read, or lacks the commit: made anew
            place.mkdir()
        else:
            return
    own = common / "modules" / name
    if _has_commit(own, commit):
        options = ("--detach", "-f", "-f", "--lock", "--reason", LOCK_REASON)
        command = (f"--git-dir={own}", "-c", "core.worktree=", *flags, "worktree", "add", *options)
        call_git(tree, *command, place, commit, inherit=(lock,))
    else:
        active = (
            "-c",
            f"submodule.{name}.active=true",
        )  # not `init`, which would write to the user's configuration
        try:
            call_git(
                tree,
                *flags,
                *active,
                "submodule",
                "update",
                "--quiet",
                "--checkout",
                "--",
                path,
                inherit=(lock,),
            )
        except GitFailed as error:
            raise Refused(
                f"the submodule {path} is needed at {commit[:12]}, which is neither here nor can it be fetched: "
                f"{error.stderr.strip()}",
                "git submodule update --init --recursive",
            ) from error


def _has_commit(git_dir: Path, commit: str) -> bool:
    if ".." in git_dir.parts or not git_dir.is_dir():
        return False
    return (
        run_git(
            git_dir, f"--git-dir={git_dir}", "cat-file", "-e", f"{commit}^{{commit}}"
        ).returncode
        == 0
    )
