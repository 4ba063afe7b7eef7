"""The state of the results branch compared with its last known commit, and its restoration.

A private second reference follows the branch, so that gitorch can notice and restore a branch that
was deleted or moved backwards.
"""

from __future__ import annotations

import secrets
from enum import Enum

from gitorch.errors import Refused
from gitorch.git.command import call_git_lines, call_git_success, run_git
from gitorch.git.repository import Repository
from gitorch.git.store.branch_content import tree_of_commit
from gitorch.git.store.refs import move_ref, read_ref
from gitorch.git.store.trees import parse_tree
from gitorch.model.branch_layout import OWN_NAMES

KEPT = "refs/gitorch/kept/results"


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
    if tip is None and (repo.common_dir / ref).is_file():
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


def move_broken_aside(repo: Repository, ref: str) -> None:
    """Move the reference away if it leads nowhere; to be called under the lock.

    Raises Refused if nothing was kept.
    """
    if branch_state(repo, ref) is not BranchState.BROKEN:
        return
    if _commit_at(repo, KEPT) is None:
        raise Refused(
            f"{ref} leads nowhere, and nothing was kept of it",
            "git fsck --lost-found",
        )
    aside = repo.state_dir / f"broken-reference.{secrets.token_hex(4)}"
    (repo.common_dir / ref).rename(aside)


def former_histories(repo: Repository, ref: str) -> list[str]:
    """Return the references to former histories that the branch does not contain."""
    tip = _commit_at(repo, ref)
    if not tip:
        return []
    aside: list[str] = []
    for name in call_git_lines(
        repo.root, "for-each-ref", "--format=%(refname)", "refs/gitorch/kept/"
    ):
        if not _is_ancestor(repo, name, tip) and not _is_ancestor(repo, tip, name):
            aside.append(name)
    return aside


def starting_commit(repo: Repository, name: str) -> str | None:
    """Return the commit that a missing branch starts from, or None.

    The kept reference comes first, then the remote-tracking branches, `origin` before others.
    """
    preferred = (KEPT, f"refs/remotes/origin/{name}")
    patterns = (*preferred, f"refs/remotes/*/{name}")
    oids: dict[str, str] = {}
    for line in call_git_lines(
        repo.root, "for-each-ref", "--format=%(refname) %(objectname)", *patterns
    ):
        ref, oid = line.split(" ")
        oids[ref] = oid
    for ref in (*preferred, *oids):
        if ref in oids:
            return oids[ref]
    return None


def restored_tip(repo: Repository, ref: str) -> str | None:
    """Make the branch hold at least what it held when it was last seen; return its tip.

    To be called under the lock. None if there is nothing that the branch could start from. Raises
    Refused if the branch cannot be gitorch's.
    """
    tip, kept = read_ref(repo, ref), read_ref(repo, KEPT)
    if tip is None:
        return _start_missing(repo, ref, kept)
    if kept is None:
        _require_ours(repo, ref, tip)
        return tip
    if kept == tip or repo.pygit.descendant_of(tip, kept):
        return tip
    if repo.pygit.descendant_of(kept, tip):
        move_ref(repo, ref, tip, kept, "gitorch: bring back")
        return kept
    # Two histories: the former one is kept under a name of its own, until the two are united.
    move_ref(repo, f"refs/gitorch/kept/{kept}", None, kept, "gitorch: keep aside")
    return tip


def _start_missing(repo: Repository, ref: str, kept: str | None) -> str | None:
    """Return the tip of a branch that was missing: where it starts from, if there is anything."""
    origin = starting_commit(repo, _name(ref))
    if origin is None:
        _require_free_name(repo, ref)
        return None
    if kept is None:
        _require_ours(repo, ref, origin)
    move_ref(repo, ref, None, origin, "gitorch: bring back")
    return origin


def _require_free_name(repo: Repository, ref: str) -> None:
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


def _require_ours(repo: Repository, ref: str, tip: str) -> None:
    """Raise Refused unless `tip` holds what gitorch writes.

    This clone has never written to the branch, so the branch may be anything.
    """
    odb = repo.pygit.odb
    tree = tree_of_commit(odb.read(tip)[1])
    names = set(parse_tree(odb.read(tree.hex())[1]))
    if not names <= OWN_NAMES or names == {b"README.md"}:
        raise Refused(
            f"the branch {_name(ref)!r} holds something else than results of gitorch",
            "git config gitorch.branch NAME chooses another branch",
        )


def _name(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _commit_at(repo: Repository, ref: str) -> str | None:
    result = run_git(
        repo.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"
    )
    return result.stdout.decode().strip() if result.returncode == 0 else None


def _is_ancestor(repo: Repository, older: str, newer: str) -> bool:
    return call_git_success(repo.root, "merge-base", "--is-ancestor", older, newer)
