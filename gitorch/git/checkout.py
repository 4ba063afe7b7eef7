"""Going back to a run's code, in a new worktree or in the worktree that the user is in.

In the user's own worktree no uncommitted content is lost. This includes ignored files, although git
silently overwrites them when it switches to a commit that has files of the same names.
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
from gitorch.git.file_system import is_true
from gitorch.git.neutral import options
from gitorch.git.pins import dirty_state
from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import Lacking, Worktrees
from gitorch.git.worktree.large_files import POINTERS_ALLOWED, pointers_in
from gitorch.git.worktree.links import link_source
from gitorch.model.text.phrases import some
from gitorch.tools.files import delete
from gitorch.tools.locks import only_one_at


class Reverted(NamedTuple):
    """The result of a revert. `before` is the former branch, or the former detached commit."""

    before: str
    branch: str | None
    files: int  # how many differ between before and now


def checkout_run(
    repo: Repository,
    worktrees: Worktrees,
    run_id: str,
    commit: str,
    path: Path,
    fill: Callable[[Path], None],
    *,
    link: Sequence[str] = (),
    lacking: Lacking,
    sparse: Sequence[str] = (),
) -> Path:
    """Make a worktree at `path` with a directory `run-<id>/`, and return that directory.

    `fill` writes the content of the directory, which git ignores. If both exist already, they stay
    as they are, with all changes. Links to missing paths are left out. What git cannot fetch is
    added to `lacking`. Raises Refused if there is a worktree at `path` at another commit.
    """
    if worktrees.is_present(path) and not worktrees.is_made_for(path, commit):
        raise Refused(
            f"{path} is at another commit: "
            f"the run has gone on at {commit[:12]} since it was checked out",
            f"choose another directory, or git worktree remove -f -f {path}",
        )
    available = [name for name in link if link_source(repo, name)]
    worktrees.materialise(
        commit, path, link=available, sparse=sparse, lacking=lacking
    )
    kept = path / f"run-{run_id}"
    with only_one_at(path):
        if not kept.exists():
            aside = path / f".run-{run_id}.part"
            delete(aside)  # left by a call that was killed
            aside.mkdir()
            (aside / ".gitignore").write_text("*\n")
            fill(aside)
            aside.rename(kept)
    return kept


def revert_to_branch(repo: Repository, commit: str, branch: str) -> Reverted:
    """Switch to `branch` at `commit`, and create the branch if necessary. Raises Refused."""
    if run_git(repo.root, "check-ref-format", "--branch", branch).returncode:
        raise Refused(
            f"{branch!r} is not a valid name for a branch",
            "choose another with --branch",
        )
    ref = f"refs/heads/{branch}"
    existing = call_git_text(
        repo.root, "for-each-ref", "--format=%(objectname)", ref
    )
    if existing not in ("", commit):
        raise Refused(
            f"branch {branch} exists already, at another commit ({existing[:12]})",
            "choose another name with --branch",
        )
    before, files = _require_safe_switch(repo, commit)
    if existing:
        _switch(repo, commit, branch)
    else:
        _switch(repo, commit, "--no-track", "--create", branch, commit)
    return Reverted(before, branch, files)


def revert_detached(repo: Repository, commit: str) -> Reverted:
    """Detach HEAD at `commit`. Raises Refused."""
    before, files = _require_safe_switch(repo, commit)
    _switch(repo, commit, "--detach", commit)
    return Reverted(before, None, files)


def revert_files(repo: Repository, commit: str) -> Reverted:
    """Bring the tracked files to `commit`, as staged changes. HEAD does not move.

    Raises Refused.
    """
    files = _require_safe_change(repo, commit)
    try:
        command = ("read-tree", "-m", "-u", "HEAD", commit)
        call_git(repo.root, *options(POINTERS_ALLOWED), *command)
    except GitFailed as error:
        raise _refused(error) from error
    return Reverted(_branch_or_commit(repo), _branch(repo), files)


def _require_safe_switch(repo: Repository, commit: str) -> tuple[str, int]:
    """Return the branch or commit of HEAD, and how many files the switch to `commit` would change.

    Raises Refused if the switch would lose commits or files.
    """
    if _branch(repo) is None:
        containing = ("for-each-ref", "--count=1", "--contains", "HEAD")
        if not call_git_lines(repo.root, *containing):
            head = repo.require_commit()
            raise Refused(
                f"HEAD is detached at {head[:12]}, which no branch contains: it would be lost",
                "git branch keep-this",
            )
    return _branch_or_commit(repo), _require_safe_change(repo, commit)


def _require_safe_change(repo: Repository, commit: str) -> int:
    """Return how many tracked files the change to `commit` would modify.

    Raises Refused if the change would lose any content.
    """
    repo.require_commit()
    repo.require_no_merge()
    state = dirty_state(repo)
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


def _in_the_way(repo: Repository, added: Iterable[str]) -> list[str]:
    """Return the untracked files, including ignored files, that the paths `added` would replace.

    The caller has checked that tracked files have no changes.
    """
    occupied: set[str] = set()
    for path in added:
        obstacle = _obstacle(repo.root, path)
        if obstacle is not None:
            occupied.add(obstacle)
    if not occupied:
        return []
    literal = [f":(top,literal){path}" for path in sorted(occupied)]
    return call_git_items(repo.root, "ls-files", "--others", "-z", "--", *literal)


def _obstacle(root: Path, path: str) -> str | None:
    """Return what is in the way of `path`: `path` itself, or a parent that is not a directory."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        if not os.path.lexists(root / parent):
            return None
        location = root / parent
        if location.is_symlink() or not location.is_dir():
            return parent
    return path if os.path.lexists(root / path) else None


def _switch(repo: Repository, commit: str, *arguments: str) -> None:
    """Switch to `commit`, with pointers in place of large files that cannot be fetched."""
    switch = ("switch", "--quiet", "--no-overwrite-ignore", *arguments)
    try:
        call_git(repo.root, *options(POINTERS_ALLOWED), *switch)
    except GitFailed as error:
        # git also reports an error if the switch is complete and only a hook failed after it.
        if repo.require_commit() == commit and not dirty_state(repo).modified:
            return
        if not _recurses(repo):
            raise _refused(error) from error
        _switch_without_submodules(repo, *switch)


def _recurses(repo: Repository) -> bool:
    """Return True if git switches the submodules, too, and fails if it cannot fetch one."""
    values = repo.git_config.get("submodule.recurse", ["false"])
    return is_true(values[-1])


def _switch_without_submodules(repo: Repository, *switch: str) -> None:
    settings = {**POINTERS_ALLOWED, "submodule.recurse": "false"}
    try:
        call_git(repo.root, *options(settings), *switch)
    except GitFailed as error:
        raise _refused(error) from error


def find_lacking(repo: Repository, commit: str) -> Lacking:
    """Return what the user's worktree, which is at `commit`, lacks of its code."""
    lacking = Lacking()
    lacking.files += pointers_in(repo, repo.root, repo.git_dir / "index")
    if not (repo.root / ".gitmodules").exists():
        return lacking
    for line in call_git_lines(repo.root, "submodule", "status", "--recursive"):
        state, (oid, path, *_) = line[0], line[1:].split(" ", 2)
        if state == "-":
            problem = "empty"
        elif state == "+":
            problem = f"at another commit ({oid[:12]}) than in {commit[:12]}"
        else:
            continue
        lacking.submodules[path] = Refused(
            f"the submodule {path} is {problem}",
            "git submodule update --init --recursive",
        )
    return lacking


def _refused(error: GitFailed) -> Refused:
    return Refused(f"git refused: {error.stderr.strip()}")


def _branch(repo: Repository) -> str | None:
    name = run_git(repo.root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout
    return os.fsdecode(name).strip() or None


def _branch_or_commit(repo: Repository) -> str:
    return _branch(repo) or repo.require_commit()
