"""The contract of worktrees, which are the directories that runs execute in.

`worktrees.FastWorktrees` fulfils the contract with templates and its own reader of git's index.
tests/git/worktree has a plain implementation, which uses `git worktree add`, `reset --hard` and
`diff` alone. The contract tests run over both implementations, so the fast one is an optimisation
that can be removed without risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct

from gitorch.errors import GitorchError

# In bytes: a larger changed file is listed, but is not part of the patch.
LARGEST_DIFF = 8 << 20
# In bytes, of all changed files in the patch together.
LARGEST_DIFFS = 16 << 20


class Modified(NamedTuple):
    """The tracked files that differ from their commit, and the patch.

    Files in `large` are not part of the patch.
    """

    files: tuple[str, ...]
    diff: bytes
    large: tuple[str, ...] = ()


UNMODIFIED = Modified((), b"")


class Lacking:
    """Collects what a worktree lacks because git cannot fetch it.

    The worktree has the pointer of such a file, and an empty directory for such a submodule.
    """

    def __init__(self) -> None:
        self.files: list[str] = []  # of Git LFS
        self.files_of_submodules: list[str] = []
        self.submodules: dict[str, GitorchError] = {}  # the reason by the path

    def __bool__(self) -> bool:
        return bool(self.files or self.files_of_submodules or self.submodules)

    @property
    def paths(self) -> list[str]:
        return [*self.files, *self.files_of_submodules, *self.submodules]

    def add(self, other: Lacking, below: str) -> None:
        """Add what the submodule at the path `below` lacks. Its own path in `other` is ""."""
        for name in (*other.files, *other.files_of_submodules):
            self.files_of_submodules.append(f"{below}/{name}")
        for path, reason in other.submodules.items():
            self.submodules[f"{below}/{path}".rstrip("/")] = reason


class WorktreeState(Struct, frozen=True):
    """The state of a whole worktree.

    `commit` is None while the worktree is being brought from one commit to another: the worktree
    may then hold files of both. `is_of_this_boot` is False if the machine was restarted after the
    worktree was made. The files are not flushed to disk, so a power cut may have emptied any of
    them, until `reset` writes them again. (Before the `reset`, the files may hold a person's edits,
    so they are left alone.)
    """

    commit: str | None
    is_of_this_boot: bool


class Worktrees(Protocol):
    """The worktrees of one repository.

    Every method may be called from several processes at the same time.
    """

    def materialise(
        self,
        commit: str,
        path: Path,
        *,
        link: Sequence[str] = (),
        lacking: Lacking | None = None,
        sparse: Sequence[str] = (),
    ) -> None:
        """Make `path` a whole worktree at `commit`, an oid, unless it already is one.

        A worktree at another commit is brought to this one; its untracked files stay. `link` names
        paths of the main worktree that become symlinks. With `sparse`, the worktree has only what
        is below these directories, and the files beside them up to the root. Safe to repeat, also
        after a crash. Raises
        Refused if something is in the way that gitorch did not make, or if a link cannot be made.
        Raises NotFound if a linked path does not exist. Raises GitFailed if git cannot check out
        the commit, and Refused if it cannot fetch a large file or a submodule. With `lacking`, the
        worktree is made without what cannot be fetched, which is added to `lacking`; a repeated
        call tries to fetch it again, and changes nothing else. After an error, a `path` that was
        free before is free again.
        """

    def is_present(self, path: Path) -> bool:
        """Return True if there is a whole worktree of this repository at `path`."""

    def is_made_for(self, path: Path, commit: str) -> bool:
        """Return True if the whole worktree at `path` was brought to `commit`.

        Later changes to the worktree do not matter.
        """

    def is_registered(self, path: Path) -> bool:
        """Return True if the repository knows a worktree at `path`, even if its files are gone."""

    def state(self, path: Path) -> WorktreeState | None:
        """Return the state of the whole worktree at `path`, or None if there is none."""

    def modified(
        self, path: Path, commit: str, *, but: Sequence[str] = ()
    ) -> Modified:
        """Return the changes to the tracked files of `commit`, without those to the files `but`.

        The state of the worktree's own index and HEAD, which a run can change, has no influence.
        """

    def reset(self, path: Path, commit: str) -> None:
        """Bring tracked files, HEAD and index of the worktree at `path` exactly to `commit`.

        Bits that hide changes (skip-worktree, assume-unchanged) are cleared. If a run has switched
        to a branch, this branch does not move. Untracked files stay. Raises NotFound if there is no
        whole worktree.
        """

    def hand_on(self, source: Path, path: Path, commit: str) -> bool:
        """Turn the worktree at `source`, which is not needed any more, into the one at `path`.

        Afterwards `path` is as good as a new worktree: its untracked files are gone. Return False
        if the worktree cannot be reused, or if something is at `path`; the caller should then
        discard `source`.
        """

    def discard(self, path: Path) -> None:
        """Remove the worktree at `path`, if there is one.

        The files may be deleted later, by `empty_trash`. Raises Refused if gitorch did not make
        the directory.
        """

    def empty_trash(self) -> None:
        """Delete discarded files, and forget worktrees of the workspace whose files are gone."""
