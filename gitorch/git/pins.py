"""Pins: finding the commit for a run, keeping the commit alive, and uncommitted changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

from gitorch.errors import NotFound
from gitorch.git.command import call_git_items, call_git_lines, run_git
from gitorch.git.repository import Repository
from gitorch.git.status import StatusKind, read_status
from gitorch.git.store.lock import locked
from gitorch.git.store.objects import has_commit
from gitorch.git.store.refs import move_ref, read_ref
from gitorch.model.run.pin import Origin, Pin

PINS = "refs/gitorch/pins/"


class DirtyState(Struct, frozen=True):
    """The uncommitted changes of the working tree.

    The paths are relative to the root and sorted. A directory's path ends with a slash. A submodule
    counts as modified if another commit is checked out in it or if its tracked files are changed.
    """

    modified: tuple[str, ...]
    untracked: tuple[str, ...]  # without ignored files


def resolve(
    repo: Repository, revision: str = "HEAD", origin: Origin | None = None
) -> Pin:
    """Return the pin for the commit that `revision` names. Raises NotFound."""
    parsed = run_git(
        repo.root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision
    )
    oid = parsed.stdout.decode().strip()
    if parsed.returncode == 0 and not oid.startswith("^"):
        peeled = run_git(
            repo.root, "rev-parse", f"{oid}^{{commit}}", f"{oid}^{{tree}}"
        )
        if peeled.returncode == 0:
            commit, tree = peeled.stdout.decode().split()
            if origin is None:
                origin = Origin.HEAD if revision == "HEAD" else Origin.REVISION
            return Pin(commit=commit, tree=tree, origin=origin)
    raise NotFound(
        f"no commit is called {revision!r} in {repo.root}",
        "git log --oneline --all lists them",
    )


def present_commits(repo: Repository, commits: Iterable[str]) -> set[str]:
    """Return the subset of `commits` that this clone has, with one start of git."""
    names = "\n".join(commits).encode()
    checks = call_git_lines(
        repo.root,
        "cat-file",
        "--batch-check=%(objectname) %(objecttype)",
        input=names,
    )
    present: set[str] = set()
    for line in checks:
        oid, _, kind = line.partition(" ")
        if kind == "commit":
            present.add(oid)
    return present


def require(repo: Repository, commit: str) -> None:
    """Raise NotFound if this clone lacks the commit of a run.

    A plain clone lacks the commits that are on no branch, for example snapshots.
    """
    if not has_commit(repo.root, commit):
        raise missing(repo, commit)


def missing(repo: Repository, commit: str) -> NotFound:
    """Return the error that says that this clone lacks the commit of a run."""
    remote = next(iter(repo.remotes()), "REMOTE")
    return NotFound(
        f"the run's commit {commit[:12]} is not in this clone",
        f"git fetch {remote} '{PINS}*:{PINS}*'",
    )


def keep(repo: Repository, commit: str) -> None:
    """Keep `commit` and its history alive, even if its branch is deleted.

    The pin is durable when this returns. A second call has no effect.
    """
    if not is_kept(repo, commit):
        with locked(repo):
            keep_locked(repo, commit)


def secure(repo: Repository, commit: str) -> None:
    """Keep the commit of a run again, if another program has deleted its pin.

    This is cheap if the pin is there. Raises NotFound if the commit was lost with the pin.
    """
    loose = f"{repo.common_dir}/{PINS}{commit}"
    if os.path.exists(loose) or is_kept(repo, commit):  # noqa: PTH110  asked for each attempt
        return
    require(repo, commit)
    keep(repo, commit)


def keep_locked(repo: Repository, commit: str) -> None:
    """Keep `commit` alive; for a caller that holds the lock."""
    move_ref(repo, PINS + commit, None, commit, "gitorch: pin")


def is_kept(repo: Repository, commit: str) -> bool:
    return read_ref(repo, PINS + commit) == commit


def kept(repo: Repository) -> list[str]:
    """Return all pinned commits."""
    return call_git_lines(repo.root, "for-each-ref", "--format=%(objectname)", PINS)


def dirty_state(repo: Repository) -> DirtyState:
    """Return the uncommitted changes, without writing anything, not even a refreshed index."""
    modified: set[str] = set()
    untracked: set[str] = set()
    for item in read_status(repo, ignore_submodules="none"):
        # "S..U": the submodule has untracked files but no changes.
        if item.kind is StatusKind.UNTRACKED or item.submodule == "S..U":
            untracked.add(item.path)
        else:
            modified.add(item.path)
    return DirtyState(tuple(sorted(modified)), tuple(sorted(untracked)))


def named_as_git(
    repo: Repository, untracked: Sequence[str], *, apart: Iterable[str] = ()
) -> list[str]:
    """Return the names that `git status` shows for untracked files, each once.

    A directory without tracked files stands for all files in it, unless one of them is in `apart`.
    """
    tops = {path.split("/", 1)[0] for path in untracked if "/" in path}
    with_tracked: set[str] = set()
    for path in apart:
        with_tracked.update(map(str, PurePosixPath(path).parents))
    if tops:
        literal = [f":(top,literal){top}" for top in sorted(tops)]
        for path in call_git_items(repo.root, "ls-files", "-z", "--", *literal):
            with_tracked.update(map(str, PurePosixPath(path).parents))
    names: dict[str, None] = {}
    for path in untracked:
        directories = list(map(str, PurePosixPath(path).parents))[-2::-1]
        whole = [name for name in directories if name not in with_tracked]
        names[f"{whole[0]}/" if whole else path] = None
    return list(names)


def ignored_paths(repo: Repository, paths: Sequence[str]) -> list[str]:
    """Return the subset of `paths` that git ignores; all are relative to the main worktree.

    What lies behind a symbolic link, or in another repository, is ignored if that is ignored.
    """
    asked = {path: _judged_by_git(repo.main_root, path) for path in paths}
    if not asked:
        return []
    names = os.fsencode("\0".join(dict.fromkeys(asked.values())))
    result = run_git(repo.main_root, "check-ignore", "-z", "--stdin", input=names)
    ignored = set(os.fsdecode(result.stdout).split("\0")[:-1])
    return [path for path, name in asked.items() if name in ignored]


def _judged_by_git(root: Path, path: str) -> str:
    """Return the part of a path that `git check-ignore` accepts.

    It begins with "./", because a path that begins with ":" has a meaning for git.
    """
    for parent in reversed(PurePosixPath(path).parents[:-1]):
        location = root / parent
        if location.is_symlink() or (location / ".git").exists():
            return f"./{parent}"
    return f"./{path}"
