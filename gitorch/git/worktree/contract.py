"""The contract of worktrees, which are the directories that runs execute in.

`worktrees.FastWorktrees` fulfils it with templates and a private reading of git's index. A plain
implementation, made of `git worktree add`, `reset --hard` and `diff` alone, is kept in
tests/git/worktree: the contract tests run over both, so the fast one is an optimisation that can be
removed without fear.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

# A changed file above this size is named, but is not part of the patch.
LARGEST_DIFF = 8 << 20


class Modified(NamedTuple):
    """The tracked files that differ from their commit, and the patch.

    Files in `large` are not part of the patch.
    """

    files: tuple[str, ...]
    diff: bytes
    large: tuple[str, ...] = ()


UNMODIFIED = Modified((), b"")


class WorktreeState(NamedTuple):
    """The state of a whole worktree.

    `commit` is None while the worktree is on its way from one commit to another: files of both may
    be there. `is_of_this_boot` is False if the machine was restarted since: the files are not
    flushed to disk, so a power cut may have emptied any of them, until `reset` writes them again.
    (Until then they may also be files that a person has worked on, so they are left alone.)
    """

    commit: str | None
    is_of_this_boot: bool


class Worktrees(Protocol):
    """The worktrees of one repository.

    Every method may be called from several processes at the same time.
    """

    def materialise(
        self, commit: str, path: Path, *, link: Sequence[str] = ()
    ) -> None:
        """Make `path` a whole worktree at `commit`, an oid, unless it already is one.

        A worktree at another commit is brought to this one; its untracked files stay. `link` names
        paths of the main worktree that become symlinks. Safe to repeat, also after a crash. Raises
        Refused if something is in the way that gitorch did not make, or if a link cannot be made.
        Raises NotFound if a linked path does not exist. Raises GitFailed if git cannot check out
        the commit. After an error there is nothing at a `path` that was free before.
        """

    def is_present(self, path: Path) -> bool:
        """Return True if there is a whole worktree of this repository at `path`."""

    def is_made_for(self, path: Path, commit: str) -> bool:
        """Return True if the whole worktree at `path` was brought to `commit`.

        Whatever was done in it since does not matter.
        """

    def is_registered(self, path: Path) -> bool:
        """Return True if the repository knows a worktree at `path`, even if its files are gone."""

    def state(self, path: Path) -> WorktreeState | None:
        """Return the state of the whole worktree at `path`, or None if there is none."""

    def modified(self, path: Path, commit: str) -> Modified:
        """Return what was done to the tracked files of `commit`.

        What a run did to its own index or HEAD has no influence.
        """

    def reset(self, path: Path, commit: str) -> None:
        """Bring tracked files, HEAD and index of the worktree at `path` exactly to `commit`.

        Bits that hide changes (skip-worktree, assume-unchanged) are cleared. A branch that a run
        has switched to does not move. Untracked files stay. Raises NotFound if there is no whole
        worktree.
        """

    def hand_on(self, source: Path, path: Path, commit: str) -> bool:
        """Turn the worktree at `source`, which is not needed any more, into the one at `path`.

        Afterwards `path` is as good as a new worktree: its untracked files are gone. Return False
        if the worktree cannot be reused, or if something is at `path`; the caller should then
        discard `source`.
        """

    def discard(self, path: Path) -> None:
        """Remove the worktree at `path`, if there is one.

        The files may be deleted later, by `empty_trash`.

        Raises Refused if gitorch did not make what is there.
        """

    def empty_trash(self) -> None:
        """Delete what was discarded, and forget worktrees of the workspace whose files are gone."""
