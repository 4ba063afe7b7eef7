"""The runs on the fetched results branches of remotes that are not on the branch of this clone."""

from __future__ import annotations

from gitorch.git.command import call_git_lines, call_git_success
from gitorch.git.repository import Repository
from gitorch.git.store.run_trees import killed_runs, run_trees

_REMOTES = "refs/remotes/"


def count_runs_elsewhere(
    repo: Repository, ref: str, tip: str | None
) -> dict[str, int]:
    """Return how many runs each remote has that are not here, for remotes that have any.

    `ref` is the results branch, and `tip` its commit. Runs that were killed here do not count. Only
    what was fetched is looked at: no remote is asked. Raises GitFailed.
    """
    if not _may_have_fetched(repo):
        return {}
    branch = ref.removeprefix("refs/heads/")
    listing = ("for-each-ref", "--format=%(refname) %(objectname) %(objecttype)")
    counts = {}
    for line in call_git_lines(repo.root, *listing, f"{_REMOTES}*/{branch}"):
        name, commit, kind = line.split(" ")
        if kind != "commit" or _has(repo, tip, commit):
            continue
        theirs = set(run_trees(repo.root, commit))
        if tip is not None:
            theirs -= run_trees(repo.root, tip).keys()
            theirs -= killed_runs(repo.root, tip)
        if theirs:
            remote = name.removeprefix(_REMOTES).removesuffix(f"/{branch}")
            counts[remote] = len(theirs)
    return counts


def _may_have_fetched(repo: Repository) -> bool:
    """Return True if there are references to branches of remotes. This starts no process."""
    if (repo.common_dir / _REMOTES).is_dir():
        return True
    try:
        packed = (repo.common_dir / "packed-refs").read_bytes()
    except OSError:
        return False
    return f" {_REMOTES}".encode() in packed


def _has(repo: Repository, tip: str | None, commit: str) -> bool:
    """Return True if the branch contains the commit."""
    if tip is None or tip == commit:
        return tip == commit
    return call_git_success(repo.root, "merge-base", "--is-ancestor", commit, tip)
