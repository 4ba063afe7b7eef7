"""A thread that keeps worktrees ready ahead of the claims, and clears away those of finished runs."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from gitorch.errors import GitorchError
from gitorch.git.worktree.trash import empty_trash_later, move_to_trash
from gitorch.model.run.announcement import Noticed
from gitorch.runs.run_directories import clear_away, materialise, payload_of
from gitorch.runs.site import Site


class _Finished(NamedTuple):
    run: str
    keep_files: bool


class Prefetch:
    """The thread; a context manager. What it cannot do it tells, and whoever needs it done tries again.

    The worktree of a finished run that left it as it was is handed on to the next one, so some wait for that, and while
    `enough` are ready none is made anew.
    """

    def __init__(
        self,
        site: Site,
        only: Sequence[str] | None,
        tell: Callable[[Noticed], None],
        *,
        enough: int,
    ) -> None:
        self._site = site
        self._only = only
        self._enough = enough
        self._tell = tell
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._looking = threading.Event()
        self._finished: deque[_Finished] = deque()
        self._there: set[str] = (
            set()
        )  # runs that have their worktree; whoever begins one looks again
        self._thread = threading.Thread(target=self._work, name="ahead")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._jobs.put(None)
        self._thread.join()

    def look(self) -> None:
        """A run was begun: another one can be made ready. Asked again before it was looked, once is enough."""
        if not self._looking.is_set():
            self._looking.set()
            self._jobs.put(self._look)

    def clear_away(self, run: str, *, keep_files: bool) -> None:
        self._jobs.put(lambda: self._retire(_Finished(run, keep_files)))

    def _look(self) -> None:
        self._looking.clear()
        before, self._there = self._there, set()
        for run in self._site.queue.next_runs(self._site.settings.worktrees_ahead, self._only):
            if run in before or self._is_made(run):
                self._there.add(run)

    def _is_made(self, run: str) -> bool:
        """Whether the run has what can be made ready for it; what is not is made, if it is needed or cheap."""
        directory = self._site.directory(run)
        if directory.log.exists() or self._site.worktrees.is_present(directory.tree):
            return True
        has_enough = len(self._there) >= self._enough
        if has_enough and not self._finished:
            return False
        wanted = payload_of(self._site, run)
        if wanted is None or (
            not wanted.spec.link and self._finished and self._hand_on(run, wanted.pin.commit)
        ):
            return True
        if not has_enough:
            materialise(self._site, run, wanted)
        return not has_enough

    def _hand_on(self, run: str, commit: str) -> bool:
        finished = self._finished.popleft()
        left, tree = (self._site.directory(name).tree for name in (finished.run, run))
        if not self._site.worktrees.hand_on(left, tree, commit):
            self._clear(finished)
            return False
        if not finished.keep_files:
            move_to_trash(self._site.repository, left.parent)
        return True

    def _retire(self, finished: _Finished) -> None:
        self._finished.append(finished)
        while len(self._finished) > self._site.settings.worktrees_ahead:
            self._clear(self._finished.popleft())

    def _clear(self, finished: _Finished) -> None:
        clear_away(self._site, finished.run, keep_files=finished.keep_files)

    def _clear_all(self) -> None:
        while self._finished:
            self._clear(self._finished.popleft())
        empty_trash_later(self._site.repository)

    def _work(self) -> None:
        while job := self._jobs.get():
            self._attempt(job)
        self._attempt(self._clear_all)

    def _attempt(self, job: Callable[[], None]) -> None:
        try:
            job()
        except (GitorchError, OSError) as error:
            self._tell(Noticed(message=str(error)))
