"""Ends in short succession are committed together, and none waits longer than necessary."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from gitorch.storage.reuse import Reused
from gitorch.worker.committer import GATHERING_S, Committer, EndedAttempt, Ending
from gitorch.worker.protocol import Committed, Stuck
from tests.worker.test_scheduler import attempt, ended

ENOUGH = 3


class Branch:
    """Takes the place of the results branch: records each batch, and when it was committed."""

    def __init__(self) -> None:
        self.batches: SimpleQueue[list[str]] = SimpleQueue()
        self.answers: SimpleQueue[Committed | Stuck] = SimpleQueue()
        self.warmed_up = threading.Event()
        self.error: Exception | None = None

    def commit(self, batch: Sequence[Ending]) -> list[Any]:
        if self.error is not None:
            raise self.error
        self.batches.put([ending.attempt.claim.token for ending in batch])
        return []

    def next_batch(self) -> list[str]:
        return self.batches.get(timeout=30)


@contextmanager
def committing(branch: Branch) -> Iterator[Committer]:
    with Committer(
        branch.commit, branch.warmed_up.set, branch.answers.put, enough=ENOUGH
    ) as committer:
        yield committer


def end(name: str) -> EndedAttempt:
    return EndedAttempt(attempt(name), ended(name))


def test_ends_in_short_succession_are_committed_together() -> None:
    branch = Branch()
    with committing(branch) as committer:
        began = time.monotonic()
        committer.add(end("one"))
        committer.add(end("two"))
        assert branch.next_batch() == ["one", "two"]
        assert time.monotonic() - began >= GATHERING_S
    answer = branch.answers.get(timeout=30)
    assert isinstance(answer, Committed)
    assert [claimed.claim.token for claimed in answer.attempts] == ["one", "two"]


def test_a_commit_that_a_slot_waits_for_is_made_at_once() -> None:
    branch = Branch()
    with committing(branch) as committer:
        began = time.monotonic()
        for _ in range(20):
            committer.add(end("one"))
            committer.commit_now()
            assert branch.next_batch() == ["one"]
        assert time.monotonic() - began < 20 * GATHERING_S


def test_a_batch_with_enough_worktrees_does_not_wait_for_more() -> None:
    branch = Branch()
    with committing(branch) as committer:
        for name in ("one", "two", "three", "four"):
            committer.add(end(name))
        assert branch.next_batch() == ["one", "two", "three"]
        assert branch.next_batch() == ["four"]


def test_reused_results_do_not_count_as_worktrees() -> None:
    branch = Branch()
    names = [f"n{number}" for number in range(2 * ENOUGH)]
    with committing(branch) as committer:
        for name in names:
            committer.add(Reused(attempt=attempt(name), reuse=None))
        assert branch.next_batch() == names


def test_pending_ends_are_committed_when_the_worker_ends() -> None:
    branch = Branch()
    with committing(branch) as committer:
        committer.add(end("one"))
    assert branch.next_batch() == ["one"]


def test_a_commit_that_fails_is_reported_with_its_attempts() -> None:
    branch = Branch()
    branch.error = OSError("no space left")
    with committing(branch) as committer:
        committer.add(end("one"))
    answer = branch.answers.get(timeout=30)
    assert isinstance(answer, Stuck)
    assert answer.error is branch.error
    assert [claimed.claim.token for claimed in answer.attempts] == ["one"]


def test_it_warms_up_before_anything_ends() -> None:
    branch = Branch()
    with committing(branch) as committer:
        committer.warm_up()
        assert branch.warmed_up.wait(30)
