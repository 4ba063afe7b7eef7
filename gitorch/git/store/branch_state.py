"""The state of the results branch compared with its last known commit, and what it must not be.

A private second reference follows the branch, so that gitorch can notice and restore a branch that
was deleted or moved.
"""

from __future__ import annotations

from enum import Enum

from gitorch.errors import Refused
from gitorch.git.command import call_git_lines, call_git_success, run_git
from gitorch.git.repository import Repository
from gitorch.git.store.branch_content import tree_of_commit
from gitorch.git.store.objects import has_commit
from gitorch.git.store.trees import parse_tree
from gitorch.model.branch_layout import OWN_NAMES

KEPT_ASIDE = "refs/gitorch/kept/"
KEPT = f"{KEPT_ASIDE}results"


class BranchState(Enum):
    """The branch, compared with what this clone last saw in it."""

    WHOLE = "whole"
    MISSING = "missing"
    BEHIND = "behind"  # it went backwards
    DIVERGED = "diverged"  # it holds another history
    BROKEN = "broken"  # its reference leads nowhere


def branch_state(repo: Repository, ref: str) -> BranchState:
    """Compare the branch `ref` with what it held when this clone last saw it. Raises GitFailed."""
    kept = _commit_at(repo, KEPT)
    tip = _commit_at(repo, ref)
    if tip is None and _is_there(repo, ref):
        return BranchState.BROKEN
    if kept is None or kept == tip:
        return BranchState.WHOLE
    if tip is None:
        return BranchState.MISSING
    if _is_ancestor(repo, kept, tip):
        return BranchState.WHOLE
    return (
        BranchState.BEHIND
        if _is_ancestor(repo, tip, kept)
        else BranchState.DIVERGED
    )


def former_histories(repo: Repository, ref: str) -> dict[str, str]:
    """Return the commits of former histories of the branch that it does not contain.

    The keys are the references that lead to them. A commit that does not hold results is left out.
    """
    tip = _commit_at(repo, ref)
    aside: dict[str, str] = {}
    for line in call_git_lines(
        repo.root, "for-each-ref", "--format=%(refname) %(objectname)", KEPT_ASIDE
    ):
        name, commit = line.split(" ")
        if tip and not _is_ancestor(repo, commit, tip) and is_ours(repo, commit):
            aside[name] = commit
    return aside


def starting_commit(repo: Repository, ref: str) -> str | None:
    """Return the commit that a missing branch starts from, or None.

    The kept reference comes first, then the remote-tracking branches, `origin` before others.
    """
    name = _name(ref)
    preferred = (KEPT, f"refs/remotes/origin/{name}")
    patterns = (*preferred, f"refs/remotes/*/{name}")
    oids: dict[str, str] = {}
    for line in call_git_lines(
        repo.root, "for-each-ref", "--format=%(refname) %(objectname)", *patterns
    ):
        ref, oid = line.split(" ")
        oids[ref] = oid
    for ref in (*preferred, *oids):
        if ref in oids and has_commit(repo.root, oids[ref]):
            return oids[ref]
    return None


def require_free_name(repo: Repository, ref: str) -> None:
    """Raise Refused if no branch can have this name, or if another branch is in its way."""
    if not call_git_success(repo.root, "check-ref-format", ref):
        raise Refused(
            f"gitorch.branch is {_name(ref)!r}, which cannot be a branch",
            "git config gitorch.branch NAME",
        )
    parts = ref.split("/")
    above = ["/".join(parts[:length]) for length in range(3, len(parts))]
    below = f"{ref}/"
    for name in call_git_lines(
        repo.root, "for-each-ref", "--format=%(refname)", *above, below
    ):
        if name in above or name.startswith(below):
            other = _name(name)
            raise Refused(
                f"the branch {other!r} leaves no room for the results branch {_name(ref)!r}",
                f"git branch -m {other} NEW-NAME, or git config gitorch.branch NAME",
            )


def require_ours(repo: Repository, ref: str, tip: str) -> None:
    """Raise Refused unless `tip` holds what gitorch writes.

    This clone has never written to the branch, so the branch may be anything.
    """
    if not is_ours(repo, tip):
        raise Refused(
            f"the branch {_name(ref)!r} holds something else than results of gitorch",
            "git config gitorch.branch NAME chooses another branch",
        )


def is_ours(repo: Repository, commit: str) -> bool:
    """Return True if a commit holds what gitorch writes, and nothing else."""
    odb = repo.pygit.odb
    tree = tree_of_commit(odb.read(commit)[1])
    names = set(parse_tree(odb.read(tree.hex())[1]))
    return names <= OWN_NAMES and names != {b"README.md"}


def _name(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _commit_at(repo: Repository, ref: str) -> str | None:
    result = run_git(
        repo.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"
    )
    return result.stdout.decode().strip() if result.returncode == 0 else None


def _is_there(repo: Repository, ref: str) -> bool:
    """Return True if there is a reference with this name, whatever it leads to."""
    if (repo.common_dir / ref).is_file():
        return True
    return bool(
        call_git_lines(repo.root, "for-each-ref", "--format=%(refname)", ref)
    )


def _is_ancestor(repo: Repository, older: str, newer: str) -> bool:
    return call_git_success(repo.root, "merge-base", "--is-ancestor", older, newer)
