"""Going back to a run's code: in a worktree beside, or in the one the user is in.

In the user's own worktree nothing uncommitted is ever lost, ignored files included: git itself overwrites those without
a word when it switches to a commit that has files of their names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gitorch.errors import Refused
from gitorch.git.command import (
    GitFailed,
    call_git,
    call_git_items,
    call_git_lines,
    call_git_text,
    run_git,
)
from gitorch.git.pins import dirt
from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import Worktrees
from gitorch.git.worktree.links import link_source
from gitorch.model.text.phrases import some
from gitorch.tools.files import delete
from gitorch.tools.locks import only_one_at


class Reverted(NamedTuple):
    """What was done: `before` is the branch, or the commit, that the worktree was on."""

    before: str
    branch: str | None
    files: int  # that differ between before and now


def checkout_run(
    repo: Repository,
    worktrees: Worktrees,
    run_id: str,
    commit: str,
    path: Path,
    fill: Callable[[Path], None],
    *,
    link: Sequence[str] = (),
) -> Path:
    """A worktree at `path` with what `fill` writes into `run-<id>/`, a directory that git ignores; gives the latter.

    A second call finds both, and whatever was changed in them since; so where the worktree is at another commit Refused
    is raised. Links to what is no longer there are left out.
    """
    if worktrees.is_present(path) and not worktrees.is_made_for(path, commit):
        raise Refused(
            f"{path} is at another commit: the run has gone on at {commit[:12]} since it was checked out",
            f"choose another directory, or git worktree remove -f -f {path}",
        )
    available = [name for name in link if link_source(repo, name)]
    worktrees.materialise(commit, path, link=available)
    kept = path / f"run-{run_id}"
    with only_one_at(path):
        if not kept.exists():
            aside = path / f".run-{run_id}.part"
            delete(aside)  # of a call that was killed
            aside.mkdir()
            (aside / ".gitignore").write_text("*\n")
            fill(aside)
            aside.rename(kept)
    return kept


def revert_to_branch(repo: Repository, commit: str, branch: str) -> Reverted:
    """Switch to `branch` at `commit`; it is made if it is not there. Raises Refused."""
    if run_git(repo.root, "check-ref-format", "--branch", branch).returncode:
        raise Refused(f"{branch!r} is no name for a branch", "choose another with --branch")
    there = call_git_text(
        repo.root, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}"
    )
    if there not in ("", commit):
        raise Refused(
            f"branch {branch} is there already, at another commit ({there[:12]})",
            "choose another name with --branch",
        )
    before, files = _safe_to_switch(repo, commit)
    target = (branch,) if there else ("--no-track", "--create", branch, commit)
    _switch(repo, commit, *target)
    return Reverted(before, branch, files)


def revert_detached(repo: Repository, commit: str) -> Reverted:
    """Detach HEAD at `commit`. Raises Refused."""
    before, files = _safe_to_switch(repo, commit)
    _switch(repo, commit, "--detach", commit)
    return Reverted(before, None, files)


def revert_files(repo: Repository, commit: str) -> Reverted:
    """Make the tracked files those of `commit`, as staged changes on what is checked out now. Raises Refused."""
    files = _safe_to_change(repo, commit)
    try:
        call_git(repo.root, "read-tree", "-m", "-u", "HEAD", commit)
    except GitFailed as error:
        raise _would_not(error) from error
    return Reverted(_whereabouts(repo), _branch(repo), files)


def _safe_to_switch(repo: Repository, commit: str) -> tuple[str, int]:
    """Where HEAD is and how many files would change, if leaving there loses nothing."""
    if _branch(repo) is None and not call_git_lines(
        repo.root, "for-each-ref", "--count=1", "--contains", "HEAD"
    ):
        head = repo.require_commit()
        raise Refused(
            f"HEAD is detached at {head[:12]}, which no branch contains: it would be lost",
            "git branch keep-this",
        )
    return _whereabouts(repo), _safe_to_change(repo, commit)


def _safe_to_change(repo: Repository, commit: str) -> int:
    repo.require_commit()
    repo.require_no_merge()
    state = dirt(repo)
    if state.modified:
        raise Refused(
            f"uncommitted changes in {some(state.modified)}",
            "commit them, or put them aside: git stash",
        )
    changed = _differing(repo, commit)
    in_the_way = _in_the_way(repo, _differing(repo, commit, "--diff-filter=A"))
    if in_the_way:
        raise Refused(
            f"files that git does not track would be lost: {some(in_the_way)}",
            "move them away first",
        )
    return len(changed)


def _differing(repo: Repository, commit: str, *options: str) -> list[str]:
    command = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", *options)
    return call_git_items(repo.root, *command, "HEAD", commit)


def _in_the_way(repo: Repository, wanted: Iterable[str]) -> list[str]:
    """The untracked files, ignored ones too, whose places the paths `wanted` need. Nothing tracked has changed."""
    occupied = {place for path in wanted if (place := _occupied(repo.root, path)) is not None}
    if not occupied:
        return []
    literal = [f":(top,literal){place}" for place in sorted(occupied)]
    return call_git_items(repo.root, "ls-files", "--others", "-z", "--", *literal)


def _occupied(root: Path, path: str) -> str | None:
    """What already is where `path` would go: itself, or a parent of it that is no directory."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        if not os.path.lexists(root / parent):
            return None
        if (root / parent).is_symlink() or not (root / parent).is_dir():
            return parent
    return path if os.path.lexists(root / path) else None


def _switch(repo: Repository, commit: str, *arguments: str) -> None:
    try:
        call_git(repo.root, "switch", "--quiet", "--no-overwrite-ignore", *arguments)
    except GitFailed as error:
        if (
            repo.require_commit() != commit or dirt(repo).modified
        ):  # else a hook failed, after all was done
            raise _would_not(error) from error


def _would_not(error: GitFailed) -> Refused:
    return Refused(f"git would not: {error.stderr.strip()}")


def _branch(repo: Repository) -> str | None:
    name = run_git(repo.root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout
    return os.fsdecode(name).strip() or None


def _whereabouts(repo: Repository) -> str:
    return _branch(repo) or repo.require_commit()
