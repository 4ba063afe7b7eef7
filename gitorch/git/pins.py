"""The commit a run is pinned to: found, kept alive, and told apart from what is not committed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitorch.errors import NotFound
from gitorch.git.command import call_git_items, call_git_lines, run_git
from gitorch.git.repository import Repository
from gitorch.git.store.lock import locked
from gitorch.git.store.refs import move_ref, read_ref
from gitorch.model.run.pin import Origin, Pin

PINS = "refs/gitorch/pins/"


class DirtyState(NamedTuple):
    """What the working tree has that no commit has: paths from the root, sorted, a directory's with a slash at the end.

    A submodule counts as modified when another commit is checked out in it or its tracked files are changed.
    """

    modified: tuple[str, ...]
    untracked: tuple[str, ...]  # without what is ignored


def resolve(repo: Repository, revision: str = "HEAD", origin: Origin | None = None) -> Pin:
    """The commit that git understands by `revision`. Raises NotFound."""
    found = run_git(repo.root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision)
    oid = found.stdout.decode().strip()
    if found.returncode == 0 and not oid.startswith("^"):
        peeled = run_git(repo.root, "rev-parse", f"{oid}^{{commit}}", f"{oid}^{{tree}}")
        if peeled.returncode == 0:
            commit, tree = peeled.stdout.decode().split()
            origin = origin or (Origin.HEAD if revision == "HEAD" else Origin.REVISION)
            return Pin(commit=commit, tree=tree, origin=origin)
    raise NotFound(
        f"no commit is called {revision!r} in {repo.root}", "git log --oneline --all lists them"
    )


def is_here(repo: Repository, commit: str) -> bool:
    """Whether this clone has the commit: a plain clone lacks those that are on no branch, like snapshots."""
    return run_git(repo.root, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def which_are_here(repo: Repository, commits: Iterable[str]) -> set[str]:
    """The same of many, at one spawn."""
    asked = "\n".join(commits).encode()
    lines = call_git_lines(
        repo.root, "cat-file", "--batch-check=%(objectname) %(objecttype)", input=asked
    )
    return {line.split()[0] for line in lines if line.endswith(" commit")}


def require(repo: Repository, commit: str) -> None:
    """Raises NotFound where this clone lacks the commit of a run."""
    if not is_here(repo, commit):
        raise NotFound(
            f"the run's commit {commit[:12]} is not in this clone",
            f"git fetch {next(iter(repo.remotes()), 'REMOTE')} '{PINS}*:{PINS}*'",
        )


def keep(repo: Repository, commit: str) -> None:
    """Keep `commit`, and all that it needs, alive: durably, whatever becomes of its branch. Safe to repeat."""
    if not is_kept(repo, commit):
        with locked(repo):
            keep_locked(repo, commit)


def keep_locked(repo: Repository, commit: str) -> None:
    """The same for a caller that holds the lock."""
    move_ref(repo, PINS + commit, None, commit, "gitorch: pin")


def is_kept(repo: Repository, commit: str) -> bool:
    return read_ref(repo, PINS + commit) == commit


def kept(repo: Repository) -> list[str]:
    """All pinned commits."""
    return call_git_lines(repo.root, "for-each-ref", "--format=%(objectname)", PINS)


def dirt(repo: Repository) -> DirtyState:
    """What is not committed; neither index nor anything else is touched."""
    status = call_git_items(
        repo.root,
        "--no-optional-locks",  # else git writes its refreshed index, in the way of the user's own git
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignore-submodules=none",
    )
    modified: set[str] = set()
    untracked: set[str] = set()
    for item in status:
        match item[0]:
            case "?":
                untracked.add(item[2:])
            case "1":
                _, _, submodule, _, _, _, _, _, path = item.split(" ", 8)
                (untracked if submodule == "S..U" else modified).add(path)
            case "u":
                modified.add(item.split(" ", 10)[10])
    return DirtyState(tuple(sorted(modified)), tuple(sorted(untracked)))


def ignored_paths(repo: Repository, paths: Sequence[str]) -> list[str]:
    """Those of `paths`, relative to the main worktree's root, that git ignores."""
    found = run_git(
        repo.main_root, "check-ignore", "-z", "--stdin", input=os.fsencode("\0".join(paths))
    )
    return os.fsdecode(found.stdout).split("\0")[:-1]
