"""A thread that prefetches worktrees, and clears away those of finished runs.

Prefetching means that the worktree of a run is created before the run's first task is claimed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from msgspec import Struct

from gitorch.errors import GitorchError
from gitorch.git.worktree.trash import empty_trash_later, move_to_trash
from gitorch.model.run.announcement import Noticed
from gitorch.storage.run_directories import clear_away, materialise, payload_of
from gitorch.storage.site import Site


class _Finished(Struct, frozen=True):
    """A finished run, whose worktree can be handed on to another run."""

    run_id: str
    keep_files: bool


class Prefetch:
    """The thread; a context manager.

    A finished run that did not change its worktree can hand the worktree on to the next run.
    Therefore some finished runs are kept, and no worktree is created while `enough` are ready.
    Failures are only reported, because a missing worktree is created again when it is needed.
    """

    def __init__(
        self,
        site: Site,
        only: Sequence[str] | None,
        report: Callable[[Noticed], None],
        *,
        enough: int,
    ) -> None:
        self._site = site
        self._only = only
        self._enough = enough
        self._report = report
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_scheduled = threading.Event()
        self._finished: deque[_Finished] = deque()
        # The ids of the next runs that have a worktree.
        self._ready: set[str] = set()
        # Those whose worktree cannot be made. Their first task tries again.
        self._failed: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="prefetch")

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

    def prepare_next_runs(self) -> None:
        """Schedule one pass over the next runs. Requests made before the pass starts are merged."""
        if not self._is_scheduled.is_set():
            self._is_scheduled.set()
            self._jobs.put(self._prepare_next_runs)

    def clear_away(self, run_id: str, *, keep_files: bool) -> None:
        """Remove the directories of a finished run, or hand its worktree on to another run.

        With `keep_files` its outputs stay.
        """
        self._jobs.put(lambda: self._retire(_Finished(run_id, keep_files)))

    def _prepare_next_runs(self) -> None:
        self._is_scheduled.clear()
        before = self._ready
        self._ready = set()
        window = self._site.settings.worktrees_ahead
        for run_id in self._site.queue.next_runs(window, self._only):
            if run_id in before or self._can_make_ready(run_id):
                self._ready.add(run_id)

    def _can_make_ready(self, run_id: str) -> bool:
        """Make the run ready. A failure, which is reported once, holds back no other run."""
        if run_id in self._failed:
            return False
        try:
            return self._make_ready(run_id)
        except (GitorchError, OSError) as error:
            self._failed.add(run_id)
            self._report(Noticed(message=str(error)))
            return False

    def _make_ready(self, run_id: str) -> bool:
        """Give the run a worktree if one is needed, or if a finished run can hand one on.

        Return True if the run has everything that can be prepared for it.
        """
        has_enough = len(self._ready) >= self._enough
        if has_enough and not self._finished:
            return False
        directory = self._site.directory(run_id)
        if directory.log.exists() or self._site.worktrees.is_present(
            directory.tree
        ):
            return True
        payload = payload_of(self._site, run_id)
        if payload is None:
            return True
        if (
            not (payload.spec.link or payload.spec.sparse)
            and self._finished
            and self._hand_on(run_id, payload.pin.commit)
        ):
            return True
        if has_enough:
            return False
        materialise(self._site, run_id, payload)
        return True

    def _hand_on(self, run_id: str, commit: str) -> bool:
        """Hand the worktree of a finished run on to this run. Return False if it was changed."""
        finished = self._finished.popleft()
        source = self._site.directory(finished.run_id).tree
        target = self._site.directory(run_id).tree
        if not self._site.worktrees.hand_on(source, target, commit):
            self._clear(finished)
            return False
        if not finished.keep_files:
            move_to_trash(self._site.repository, source.parent)
        return True

    def _retire(self, finished: _Finished) -> None:
        """Keep a finished run to hand its worktree on. Clear away the oldest if there are many."""
        self._finished.append(finished)
        while len(self._finished) > self._site.settings.worktrees_ahead:
            self._clear(self._finished.popleft())

    def _clear(self, finished: _Finished) -> None:
        clear_away(self._site, finished.run_id, keep_files=finished.keep_files)

    def _clear_all(self) -> None:
        while self._finished:
            self._clear(self._finished.popleft())
        empty_trash_later(self._site.repository)

    def _work(self) -> None:
        while job := self._jobs.get():
            self._carry_out(job)
        self._carry_out(self._clear_all)

    def _carry_out(self, job: Callable[[], None]) -> None:
        try:
            job()
        except (GitorchError, OSError) as error:
            self._report(Noticed(message=str(error)))
