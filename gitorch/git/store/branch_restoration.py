"""The look at the results branch before every change, which restores what the branch has lost.

Another git program may delete the branch, move it, or commit to it at any moment. A look compares
the branch with everything that this clone knows about it, and unites the two. The first try of a
change and every further try begin with a look. A look is repeated if another program moves the
branch in the middle of it. The methods that change something need the lock of
`gitorch.git.store.lock`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from gitorch.errors import Busy, Refused
from gitorch.git.command import call_git_lines
from gitorch.git.modes import FILE
from gitorch.git.repository import Repository
from gitorch.git.store.branch_content import render_commit
from gitorch.git.store.branch_state import (
    KEPT,
    KEPT_ASIDE,
    BranchState,
    branch_state,
    is_ours,
    require_free_name,
    require_ours,
    starting_commit,
)
from gitorch.git.store.branch_union import Choice, Union, runs_in, unite
from gitorch.git.store.branch_versions import (
    Versions,
    contains,
    is_complete,
    read_object,
    tree_at,
)
from gitorch.git.store.objects import has_commit
from gitorch.git.store.pack import KeptPack, ObjectType, PackWriter
from gitorch.git.store.refs import is_commit, move_aside, move_ref, read_ref
from gitorch.git.store.trees import TreeEntry
from gitorch.model.text.phrases import counted

# A program that moves the branch again and again is given up on after this time.
_PATIENCE_S = 30.0


class Looked(NamedTuple):
    """The tip of the branch and the commit of the reference KEPT, None if there are none."""

    tip: str | None
    kept: str | None


class Restoration(Struct, frozen=True):
    """What a look has restored."""

    runs: tuple[str, ...]
    source: str  # the commit that has them
    found: (
        str | None
    )  # the tip of the branch before; None if the branch was missing
    aside: str | None  # a reference to `found`, if `found` does not hold results
    lost_references: bool  # gitorch's own references were deleted as well


class BranchKeeper:
    """Looks at the branch `ref`.

    `witnesses` returns commits that other files of this clone know as tips of the branch. They
    count if the reference KEPT is missing or differs from the tip. `report` is called after every
    restoration.
    """

    def __init__(
        self,
        repo: Repository,
        ref: str,
        *,
        witnesses: Callable[[], Iterable[str]],
        report: Callable[[Restoration], None],
    ) -> None:
        self._repo = repo
        self._ref = ref
        self._witnesses = witnesses
        self._report = report
        self._packs: list[KeptPack] = []
        # The newest tip that this process has written. To look for it would have libgit2 open its
        # pack: see `object_cache`.
        self._written: str | None = None

    def look(self, seen: str | None = None) -> Looked:
        """Make the branch hold at least what it is known to have held.

        `seen` is one more commit that it has held. Raises Refused if the branch cannot be
        gitorch's, and Busy if another program keeps moving it.
        """
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while time.monotonic() < deadline:
                looked = self._look_once(seen)
                if looked is not None:
                    return looked
        finally:
            # Not earlier: if the branch is deleted again, KEPT alone leads to the new objects.
            for pack in self._packs:
                pack.release()
            self._packs = []
        raise Busy(
            f"another program keeps moving {self._ref}", "end it, then try again"
        )

    def discard_broken(self) -> None:
        """Move the reference of the branch aside, if it is broken and can be restored.

        Raises Refused if there is nothing to restore it from.
        """
        if branch_state(self._repo, self._ref) is not BranchState.BROKEN:
            return
        kept = read_ref(self._repo, KEPT)
        if not self._known(None, kept, None) and not starting_commit(
            self._repo, self._ref
        ):
            raise Refused(
                f"{self._ref} leads nowhere, and nothing was kept of it",
                "git fsck --lost-found",
            )
        move_aside(self._repo, self._ref)

    def lost_runs(self, seen: str | None = None) -> tuple[str, ...]:
        """Return the runs that a look would restore. Nothing is changed."""
        tip = read_ref(self._repo, self._ref)
        kept = read_ref(self._repo, KEPT)
        lost: dict[str, None] = {}
        for known in self._known(tip, kept, seen):
            lost.update(dict.fromkeys(self._lost_of(tip, known)))
        return tuple(lost)

    def keep(self, kept: str | None, tip: str) -> None:
        """Move the reference KEPT from `kept` to `tip`, which has all runs of `kept`.

        If KEPT has meanwhile moved to another commit, it stays there, even if `tip` descends from
        that commit: a descendant may lack runs. The next look unites the two.
        """
        while not move_ref(self._repo, KEPT, kept, tip, "gitorch"):
            kept = read_ref(self._repo, KEPT)
            if kept is not None and self._has(kept):
                return
        self._written = tip

    def _look_once(self, seen: str | None) -> Looked | None:
        """Return what the branch holds, or None if another program has moved it meanwhile."""
        kept = read_ref(self._repo, KEPT)
        tip = read_ref(self._repo, self._ref)
        if tip is not None and tip != self._written and not self._has(tip):
            if tip in self._repo.pygit and self._known(None, kept, seen):
                move_aside(self._repo, self._ref)
                return None
            raise Refused(
                f"{self._ref} leads to {tip[:12]}, which is not a commit of this clone",
                "gitorch doctor --fix",
            )
        if tip is not None and tip == kept and seen in (None, tip):
            return Looked(tip, kept)
        known = self._known(tip, kept, seen)
        if not known:
            return self._begin(tip, kept)
        return self._contain(known, tip, kept)

    def _contain(
        self, known: Sequence[str], tip: str | None, kept: str | None
    ) -> Looked | None:
        """Make the branch contain all that is known.

        Return what it holds then, or None if another program has moved it meanwhile.
        """
        lost_references = kept is None
        if kept is None or not self._has(kept):
            self.keep(kept, known[0])  # before a gc can remove its objects
            kept = known[0]
        for commit in known:
            restored = self._unite(tip, commit, lost_references=lost_references)
            if restored is None:
                return None
            tip = restored
            lost_references = False
        if tip is not None and kept != tip:
            self.keep(kept, tip)
        return self._as_kept(tip)

    def _begin(self, tip: str | None, kept: str | None) -> Looked | None:
        """Return the tip of a branch about which this clone knows nothing.

        A missing branch begins with that of a remote, if there is one.
        """
        start = tip or starting_commit(self._repo, self._ref)
        if start is None:
            require_free_name(self._repo, self._ref)
            return Looked(None, kept)
        require_ours(self._repo, self._ref, start)
        if tip is None and not move_ref(
            self._repo, self._ref, None, start, "gitorch: begin"
        ):
            return None
        self.keep(kept, start)
        return self._as_kept(start)

    def _as_kept(self, tip: str | None) -> Looked | None:
        """Return the tip, or None if KEPT is elsewhere: then its runs may not be in the tip."""
        kept = read_ref(self._repo, KEPT)
        return Looked(tip, kept) if kept == tip else None

    def _known(
        self, tip: str | None, kept: str | None, seen: str | None
    ) -> list[str]:
        """Return the commits that the branch has to contain, if this clone has all of them."""
        known: list[str] = []
        for commit in (kept, seen, *self._witnesses()):
            if commit is None or not self._has(commit):
                continue
            if any(contains(self._repo, other, commit) for other in known):
                continue
            is_reachable = commit == kept
            if tip is not None and self._has(tip) and not is_reachable:
                is_reachable = contains(self._repo, tip, commit)
            if is_reachable or is_complete(self._repo, commit):
                known.append(commit)
        return known

    def _unite(
        self, tip: str | None, known: str, *, lost_references: bool
    ) -> str | None:
        """Make the branch, which is at `tip`, contain `known` with all its runs.

        Return the new tip, or None if the branch is not at `tip` any more.
        """
        lost = self._lost_of(tip, known)
        aside = None
        united = known
        if tip is not None and not contains(self._repo, known, tip):
            if self._takes_part(tip, known):
                united = self._union_commit(tip, known)
            else:
                aside = self._put_aside(tip)
        if tip is None:
            require_free_name(self._repo, self._ref)
        if united != tip and not move_ref(
            self._repo, self._ref, tip, united, "gitorch: restore"
        ):
            return None
        if lost or lost_references:
            self._report(Restoration(lost, known, tip, aside, lost_references))
        return united

    def _lost_of(self, tip: str | None, known: str) -> tuple[str, ...]:
        """Return the runs that `known` has and `tip` lacks."""
        if tip == known:
            return ()
        if tip is None or not self._takes_part(tip, known):
            return tuple(runs_in(tree_at(self._repo, known), self._read))
        return self._union(tip, known).restored

    def _takes_part(self, tip: str, known: str) -> bool:
        """Return True if the content of `tip` is united with that of `known`.

        A commit of the project itself is not: its history would become a part of the results.
        """
        return contains(self._repo, tip, known) or is_ours(self._repo, tip)

    def _union(self, tip: str, known: str) -> Union:
        versions = Versions(self._repo, tip, known)
        return unite(
            tree_at(self._repo, tip),
            tree_at(self._repo, known),
            self._read,
            Choice(versions.is_known_better, versions.with_all_labels),
        )

    def _union_commit(self, tip: str, known: str) -> str:
        """Return a commit that unites the two, or `tip` if it has everything.

        The first parent of a merge is the history that this clone knows.
        """
        union = self._union(tip, known)
        parents = [tip]
        if not contains(self._repo, tip, known):
            parents = [known, tip]
        elif not (union.edits.changes or union.records):
            return tip
        what = "labels" if union.records else "environments"
        if union.restored:
            what = counted(len(union.restored), "run")
        message = f"{what} restored after another git program changed the branch\n"
        pack = PackWriter(self._repo.common_dir)
        try:
            for path, text in union.records.items():
                oid = pack.add(ObjectType.BLOB, text)
                union.edits.put(path, TreeEntry(FILE, oid))
            add_tree = partial(pack.add, ObjectType.TREE)
            base = tree_at(self._repo, tip)
            tree = union.edits.apply(base, self._read, add_tree) or add_tree(b"")
            data = render_commit(tree, parents, self._repo, message.encode())
            commit = pack.add(ObjectType.COMMIT, data)
            self._packs.append(pack.publish())
        finally:
            pack.close()
        return commit.hex()

    def _put_aside(self, tip: str) -> str:
        """Keep a commit that does not hold results; return the reference that leads to it."""
        options = ("--format=%(refname)", f"--contains={tip}")
        for name in call_git_lines(self._repo.root, "for-each-ref", *options):
            if name != self._ref:
                return name
        aside = f"{KEPT_ASIDE}{tip}"
        move_ref(self._repo, aside, None, tip, "gitorch: keep aside")
        return aside

    def _has(self, commit: str) -> bool:
        """Return True if this clone has the commit.

        A repack can hide it from libgit2 for a moment, so git is asked as well.
        """
        return is_commit(self._repo, commit) or has_commit(self._repo.root, commit)

    def _read(self, oid: bytes) -> bytes:
        return read_object(self._repo, oid)
