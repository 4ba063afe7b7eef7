"""A thread that keeps worktrees ready ahead of the claims, and clears away those of finished runs."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from gitorch.errors import GitorchError
from gitorch.git import worktrees
from gitorch.model.announce import Noticed
from gitorch.model.payload import Payload
from gitorch.worker.site import Site


def materialise_next(site: Site, only: Sequence[str] | None = None) -> None:
    """Make the worktrees of the runs that will be begun next, those that are not there yet.

    Raises GitorchError, OSError.
    """
    for run, payload in site.queue.next_runs(site.worktrees_ahead, only):
        tree = site.directory(run).tree
        if not worktrees.is_present(site.repository, tree):
            wanted = Payload.from_json(payload)
            worktrees.materialise(site.repository, wanted.pin.commit, tree, link=wanted.spec.link)


def clear_away(site: Site, run: str, *, keep_files: bool = False) -> None:
    """Remove what the workspace holds of a run: all of it is on the results branch. `keep_files`: only its worktree."""
    directory = site.directory(run)
    worktrees.discard(site.repository, directory.tree)
    if not keep_files:
        shutil.rmtree(directory.path, ignore_errors=True)


class Ahead:
    """The thread; a context manager. What it cannot do it tells, and whoever needs it done tries again."""

    def __init__(self, site: Site, only: Sequence[str] | None, tell: Callable[[Noticed], None]) -> None:
        self._site = site
        self._only = only
        self._tell = tell
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._looking = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ahead")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._thread.join()

    def look(self) -> None:
        """A run was begun: another one can be made ready. Asked again before it was looked, once is enough."""
        if not self._looking.is_set():
            self._looking.set()
            self._jobs.put(self._look)

    def clear_away(self, run: str, *, keep_files: bool) -> None:
        self._jobs.put(lambda: clear_away(self._site, run, keep_files=keep_files))

    def _look(self) -> None:
        self._looking.clear()
        materialise_next(self._site, self._only)

    def _work(self) -> None:
        while job := self._jobs.get():
            try:
                job()
            except (GitorchError, OSError) as error:
                self._tell(Noticed(message=str(error)))
        worktrees.empty_trash(self._site.repository)
