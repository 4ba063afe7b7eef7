"""A thread that commits ended attempts. Those that end in short succession share a commit."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from msgspec import Struct

from gitorch.engines.contract import Ended
from gitorch.model.run.announcement import Committal
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.known_failure import KnownFailure
from gitorch.storage.reuse import Reused
from gitorch.worker.protocol import Committed, Stuck

LARGEST_BATCH = 64
# An end waits this long for others to be committed with it, unless a slot waits for the commit.
GATHERING_S = 0.1


class EndedAttempt(Struct, frozen=True):
    """An attempt that is to be gathered and committed."""

    attempt: ClaimedAttempt
    ended: Ended


Ending = EndedAttempt | Reused | KnownFailure


class _Wish(Enum):
    WARM_UP = auto()
    COMMIT_NOW = auto()
    FINISH = auto()


class Committer:
    """The thread; a context manager. At exit, the thread commits what is pending, and ends."""

    def __init__(
        self,
        commit: Callable[[Sequence[Ending]], Sequence[Committal]],
        warm_up: Callable[[], None],
        post: Callable[[Committed | Stuck], None],
        *,
        enough: int,
    ) -> None:
        """`commit` commits a batch and returns its announcements.

        A batch with `enough` ended attempts does not wait for more, because their worktrees can be
        handed on. A reused result has no worktree, so it does not count.
        """
        self._commit = commit
        self._warm_up = warm_up
        self._post = post
        self._enough = enough
        self._messages: SimpleQueue[Ending | _Wish] = SimpleQueue()
        self._is_warm = False
        self._is_finishing = False
        self._thread = threading.Thread(target=self._work, name="committer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._messages.put(_Wish.FINISH)
        self._thread.join()

    def add(self, ending: Ending) -> None:
        self._messages.put(ending)

    def warm_up(self) -> None:
        """Load what the first commit needs, while the first attempts run."""
        if not self._is_warm:
            self._is_warm = True
            self._messages.put(_Wish.WARM_UP)

    def commit_now(self) -> None:
        """Commit without waiting for more ends, because a slot is idle until then."""
        self._messages.put(_Wish.COMMIT_NOW)

    def _work(self) -> None:
        while not self._is_finishing:
            batch = self._next_batch()
            if batch:
                self._commit_batch(batch)

    def _next_batch(self) -> list[Ending]:
        """Wait for an end. Return it with the ends that follow until it is time to commit."""
        batch: list[Ending] = []
        deadline = math.inf
        while not self._is_enough(batch):
            message = self._next_message(deadline)
            match message:
                case None | _Wish.FINISH:
                    break
                case _Wish.COMMIT_NOW:
                    if batch:
                        break
                case _Wish.WARM_UP:
                    with suppress(Exception):  # the commit will report the error
                        self._warm_up()
                case EndedAttempt() | Reused() | KnownFailure():
                    deadline = min(deadline, time.monotonic() + GATHERING_S)
                    batch.append(message)
        return batch

    def _next_message(self, deadline: float) -> Ending | _Wish | None:
        """Return the next message, or None if there is none until `deadline`."""
        if deadline == math.inf:
            message = self._messages.get()
        else:
            try:
                message = self._messages.get(
                    timeout=max(0.0, deadline - time.monotonic())
                )
            except Empty:
                return None
        if message is _Wish.FINISH:
            self._is_finishing = True
        return message

    def _is_enough(self, batch: Sequence[Ending]) -> bool:
        worktrees = sum(1 for ending in batch if isinstance(ending, EndedAttempt))
        return worktrees >= self._enough or len(batch) >= LARGEST_BATCH

    def _commit_batch(self, batch: Sequence[Ending]) -> None:
        attempts = [ending.attempt for ending in batch]
        try:
            announcements = self._commit(batch)
        except BaseException as error:
            self._post(Stuck(attempts, error))
        else:
            self._post(Committed(attempts, announcements))
