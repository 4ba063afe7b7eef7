"""A repository with its results branch, queue, index and workspace: every action works on one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from gitorch.database.file_digests import FileDigests
from gitorch.database.recorded_tip import recorded_tips
from gitorch.database.run_index import RunIndex
from gitorch.database.run_queue import Queue
from gitorch.errors import Refused
from gitorch.git.code_digest import CodeDigests
from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from gitorch.model.settings import Settings
from gitorch.model.workspace import RunDirectory
from gitorch.tools import filesystem

if TYPE_CHECKING:
    from gitorch.git.store.branch_restoration import Restoration
    from gitorch.git.worktree.contract import Worktrees
    from gitorch.storage.locked_environments import LockedEnvironments


class Site(Struct, frozen=True, dict=True):
    """A repository and everything that gitorch stores for it, each part opened when first used."""

    repository: Repository
    # Called with a line for the user about something that was repaired on the way.
    warn: Callable[[str], object] = str

    @classmethod
    def at(cls, start: Path, *, warn: Callable[[str], object] = str) -> Self:
        """Return the site of the repository that contains `start`. Raises NotFound, Refused."""
        return cls(Repository.discover(start), warn)

    @cached_property
    def results(self) -> ResultsBranch:
        """The results branch. What is missing on it is restored before anything is changed."""
        return ResultsBranch(
            self.repository,
            witnesses=self._known_tips,
            report=self._report,
        )

    @cached_property
    def worktrees(self) -> Worktrees:
        """The worktrees that the runs execute in."""
        # Takes 3 ms, which the commands that only read do not need.
        from gitorch.git.worktree.worktrees import FastWorktrees  # noqa: PLC0415

        return FastWorktrees(self.repository)

    @cached_property
    def queue(self) -> Queue:
        """The queue, created if it does not exist.

        Raises Refused on a network file system, and the errors of `Queue.open`.
        """
        _require_local(self.state)
        return Queue.open(self.queue_path, home=self.home)

    @cached_property
    def locked_environments(self) -> LockedEnvironments:
        """The environments that are built from locks."""
        # With TOML, hashes and the construction: 15 ms, for users of `python: uv` only.
        from gitorch.storage.locked_environments import LockedEnvironments  # noqa: PLC0415

        return LockedEnvironments(self)

    @cached_property
    def code(self) -> CodeDigests:
        """Digests of code, remembered as long as this site exists."""
        return CodeDigests(self.repository, _configs_among)

    @cached_property
    def digests(self) -> FileDigests:
        """Digests of files on this machine, remembered in a database."""
        return FileDigests(self.state / "digests.db")

    @cached_property
    def index(self) -> RunIndex:
        """The index of all records, which `catalog.py` queries.

        On a network file system it is in memory.
        """
        is_local = not filesystem.is_network(filesystem.kind_of(self.state))
        path = self.index_path if is_local else None
        return RunIndex(path, home=self.home)

    @cached_property
    def named_runs(self) -> set[str]:
        """The ids of the runs that the user has named or selected for a command."""
        return set()

    @property
    def index_path(self) -> Path:
        return self.state / "index.db"

    @property
    def queue_path(self) -> Path:
        return self.state / "queue.db"

    @property
    def state(self) -> Path:
        return self.repository.state_dir

    @property
    def interpreters(self) -> Path:
        """The directory that caches the answers of Python interpreters about themselves."""
        return self.state / "interpreters"

    @property
    def workspace(self) -> Path:
        return self.repository.workspace

    @property
    def settings(self) -> Settings:
        return self.repository.settings

    def directory(self, run_id: str) -> RunDirectory:
        return RunDirectory.of(self.workspace, run_id)

    def _known_tips(self) -> list[str]:
        """Return the commits of the results branch that the queue and the index were made from."""
        return recorded_tips(self.queue_path, self.index_path)

    def _report(self, restoration: Restoration) -> None:
        """Warn of results that were restored, and restore the pins if they were deleted too."""
        # Takes 4 ms, which is seldom needed.
        from gitorch.storage import restorations  # noqa: PLC0415

        self.warn(restorations.describe(restoration, self.results.name))
        if restoration.lost_references:
            restorations.keep_pins(
                self.repository, self.results, restoration.source
            )

    @property
    def home(self) -> str:
        """Identify the repository that a database belongs to; a copy of it is another one."""
        status = self.repository.common_dir.stat()
        return f"{socket.gethostname()}:{status.st_dev}:{status.st_ino}"


def _configs_among(files: Mapping[str, bytes]) -> frozenset[str]:
    from gitorch.config.discovery import configs_among  # noqa: PLC0415  with YAML: 60 ms

    return configs_among(files)


def _require_local(state: Path) -> None:
    """Raise Refused on a network file system.

    SQLite's WAL needs memory that all processes share which use the file
    (https://www.sqlite.org/wal.html).
    """
    kind = filesystem.kind_of(state)
    if filesystem.is_network(kind):
        raise Refused(
            f"{state} is on a network file system ({kind}), "
            "where the queue's database could be damaged",
            "git config gitorch.stateDir ~/.local/state/gitorch moves it to a disk of this machine",
        )
