"""The rules by which a worker decides what to do next: a machine without threads, IO or clock.

The pool gives the scheduler events, each with the time, and carries out the instructions that the
scheduler returns. Between events the pool asks questions, for example whether to claim a task.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import assert_never

from msgspec import Struct

from gitorch.engines.contract import Ended, Order
from gitorch.model.run.announcement import (
    AttemptEnded,
    AttemptRefused,
    Committal,
)
from gitorch.model.run.outcome import Interrupted, Killed
from gitorch.model.run.status import Status
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.known_failure import KnownFailure
from gitorch.storage.reuse import Reused
from gitorch.worker.pool_options import PoolOptions
from gitorch.worker.protocol import (
    Announce,
    AttemptEvent,
    Cancel,
    Claimed,
    ClearAway,
    Commit,
    Committed,
    DeadWorkersFound,
    Deferred,
    Detached,
    Event,
    GiveBack,
    Instruction,
    KillRequested,
    OutOfSpace,
    Prepare,
    Prepared,
    PrepareNextRuns,
    Recover,
    Recovered,
    Release,
    Start,
    StopRequested,
    Stuck,
    Superseded,
    TakenOver,
    Ticked,
    Unprepared,
)
from gitorch.worker.stop_notices import continuing, waiting_for

# While attempts take less time than this, a second task is claimed for each slot, so that it is
# prepared when the slot becomes free. A prepared task waits no longer than this for a slot, because
# it is shown as running although it is not.
SHORT_S = 0.25


class _Waiting(Struct, frozen=True):
    """A prepared attempt that waits for a slot, and since when."""

    attempt: ClaimedAttempt
    order: Order
    since: float


class Scheduler:
    """The attempts of one worker, from the claim until they are committed or given back."""

    def __init__(self, slots: int, options: PoolOptions) -> None:
        """`slots` is the number of attempts that the engine runs at a time."""
        self._slots = slots
        self._options = options
        self._attempts: dict[str, ClaimedAttempt] = {}  # all of them, by token
        self._waiting: deque[_Waiting] = deque()
        self._running: set[str] = set()
        # Those of them that continue when this worker ends.
        self._detached: set[str] = set()
        self._cancelled: set[str] = set()
        self._committing: set[str] = set()
        # The priority of the task that may follow each attempt that is being committed, by token.
        self._followed: dict[str, int] = {}
        # Attempts that are given back as soon as they are prepared.
        self._unwanted: set[str] = set()
        self._last_duration_s = math.inf  # of the attempt that ended last
        self._failures = 0
        self._stops = 0
        self._is_recovering = False
        self._has_recovery_failed = False
        # The first error that kept an attempt from completion.
        self.error: BaseException | None = None

    # -- questions

    @property
    def is_stopping(self) -> bool:
        """Return True if nothing is claimed or started any more."""
        return self._stops > 0 or self.error is not None

    @property
    def takes_tasks(self) -> bool:
        """Return True if another task may be claimed at some time."""
        if self.is_stopping:
            return False
        if self._options.stop_after is None:
            return True
        # An attempt is known to be a failure only when it is committed.
        return not self._committing and self._failures < self._options.stop_after

    @property
    def wants_task(self) -> bool:
        """Return True if a task is to be claimed now, with a priority above `claim_above`.

        There is one for each slot, and while attempts are short a second one for each slot.
        """
        if not self.takes_tasks:
            return False
        if self.has_idle_slot:
            return True
        return self._claims_ahead and self._unfinished < 2 * self._slots

    @property
    def claim_above(self) -> int | None:
        """Return the priority that a task must exceed to be claimed, or None if any task may be.

        Slots are kept for the next tasks of the runs whose attempts are being committed. Only tasks
        with a higher priority may take such a slot.
        """
        idle = self._slots - self._unfinished
        if not 0 < idle <= len(self._followed):
            return None
        return sorted(self._followed.values(), reverse=True)[idle - 1]

    @property
    def _claims_ahead(self) -> bool:
        """Return True if a second task is claimed for each slot.

        No task is claimed ahead of the next task of a run that is being executed.
        """
        if self._last_duration_s >= SHORT_S or self._options.stop_after is not None:
            return False
        unfinished = self._attempts.keys() - self._committing
        for token in unfinished:
            if self._attempts[token].next_priority is not None:
                return False
        return not self._followed

    @property
    def has_idle_slot(self) -> bool:
        """Return True if there is a slot for which no task has been claimed."""
        return self._unfinished < self._slots

    @property
    def waits_for_commit(self) -> bool:
        """Return True if an idle slot could get a task from what is being committed."""
        return self.has_idle_slot and bool(self._committing)

    @property
    def attempts(self) -> Collection[ClaimedAttempt]:
        """Return the attempts that are not committed or given back yet."""
        return self._attempts.values()

    def is_running(self, token: str) -> bool:
        return token in self._running

    def has_ended(self, token: str) -> bool:
        return token in self._committing

    @property
    def is_idle(self) -> bool:
        """Return True if there is no attempt, and no recovery that could free tasks."""
        return not self._attempts and not self._is_recovering

    @property
    def may_look_for_dead_workers(self) -> bool:
        return not self._is_recovering and not self.is_stopping

    @property
    def may_recover(self) -> bool:
        """Return True unless the last recovery has failed: it would probably fail again."""
        return self.may_look_for_dead_workers and not self._has_recovery_failed

    @property
    def _unfinished(self) -> int:
        """The number of attempts that have not ended and are wanted."""
        return len(self._attempts) - len(self._committing) - len(self._unwanted)

    # -- events

    def on(self, event: Event, now: float) -> list[Instruction]:
        """Note an event and return the instructions. `now` is monotonic, in seconds."""
        instructions = list(self._instructions(event, now))
        instructions += self._start_waiting()
        instructions += self._give_back_waiting(now)
        return instructions

    def _instructions(self, event: Event, now: float) -> Iterator[Instruction]:
        match event:
            case Committed(attempts, announcements):
                self._forget(attempts)
                for announcement in announcements:
                    yield from self._committed(announcement)
            case Stuck(attempts, error):
                self._forget(attempts)
                self.error = self.error or error
                for attempt in attempts:
                    yield Release(attempt)
                yield from self._leave_detached()
            case StopRequested(times):
                yield from self._stop(times)
            case KillRequested(runs):
                yield from self._kill(runs)
            case DeadWorkersFound() | Recovered():
                yield from self._recover(event)
            case Ticked():
                pass
            case _:
                yield from self._advance(event, now)

    def _advance(self, event: AttemptEvent, now: float) -> Iterator[Instruction]:
        """Move one attempt to its next step."""
        match event:
            case Claimed(attempt, is_quick):
                self._attempts[attempt.claim.token] = attempt
                yield Prepare(attempt, in_thread=not is_quick)
                yield PrepareNextRuns()
            case Prepared(attempt, order):
                yield from self._prepared(_Waiting(attempt, order, since=now))
            case Unprepared(attempt, end):
                yield self._commit(attempt, end)
            case Reused():
                yield self._commit(event.attempt, event)
                yield from self._keep_slot(event.attempt)
            case Ended():
                attempt = self._attempts[event.token]
                self._running.discard(event.token)
                self._last_duration_s = event.duration_s
                yield self._commit(attempt, event)
                yield from self._keep_slot(attempt)
            case Detached(token):
                self._detached.add(token)
            case TakenOver(attempt):
                self._attempts[attempt.claim.token] = attempt
                self._running.add(attempt.claim.token)
                self._detached.add(attempt.claim.token)
            case Deferred() | OutOfSpace() | Superseded():
                yield self._return(event)
            case _:
                assert_never(event)

    def _return(self, event: Deferred | OutOfSpace | Superseded) -> GiveBack:
        """Return a task that does not start to the queue."""
        match event:
            case OutOfSpace(_, error):
                self.error = self.error or error
            case Superseded(attempt):
                self._running.remove(attempt.claim.token)
            case Deferred():
                pass
        return self._give_back(event.attempt)

    def _prepared(self, waiting: _Waiting) -> Iterator[Instruction]:
        """Let a prepared attempt wait for a slot, or give it back if it is not wanted any more.

        The attempts wait in the order of their claims.
        """
        attempt = waiting.attempt
        # Only a prepared attempt knows what it computes, so it replaces the claimed one.
        self._attempts[attempt.claim.token] = attempt
        if attempt.claim.token in self._unwanted:
            yield self._give_back(attempt)
            return
        self._waiting.append(waiting)
        if len(self._waiting) > 1:
            claims = list(self._attempts)
            in_order = sorted(
                self._waiting,
                key=lambda entry: claims.index(entry.attempt.claim.token),
            )
            self._waiting = deque(in_order)

    def _start_waiting(self) -> Iterator[Instruction]:
        """Start the attempts that were claimed first, one in each slot that is free."""
        while (
            self._waiting
            and self._has_slot_for(self._waiting[0].attempt)
            and not self.is_stopping
        ):
            waiting = self._waiting.popleft()
            self._running.add(waiting.attempt.claim.token)
            yield Start(waiting.attempt, waiting.order)

    def _give_back_waiting(self, now: float) -> Iterator[Instruction]:
        """Return tasks that cannot start soon to the queue, where other workers can claim them.

        If an attempt has waited longer than SHORT_S, attempts have become longer. Nothing is then
        claimed ahead until an attempt is short again.
        """
        while self._waiting and (
            self.is_stopping or now > self._waiting[0].since + SHORT_S
        ):
            yield self._give_back(self._waiting.popleft().attempt)
            self._last_duration_s = math.inf

    def _has_slot_for(self, attempt: ClaimedAttempt) -> bool:
        """Return True if a slot is free that is not kept for a task of the same priority.

        A slot is also kept for each attempt that was claimed earlier and is still being prepared.
        """
        least = attempt.claim.priority
        free = self._slots - len(self._running)
        if free > 0:
            free -= sum(priority >= least for priority in self._followed.values())
        if free > 0:
            earlier = self._preparing_before(attempt)
            free -= sum(other.claim.priority >= least for other in earlier)
        return free > 0

    def _preparing_before(
        self, attempt: ClaimedAttempt
    ) -> Iterator[ClaimedAttempt]:
        """Yield the attempts that were claimed before this one and are being prepared."""
        others = self._running | self._committing | self._unwanted
        others.update(waiting.attempt.claim.token for waiting in self._waiting)
        for token, earlier in self._attempts.items():
            if token == attempt.claim.token:
                return
            if token not in others:
                yield earlier

    def _keep_slot(self, ended: ClaimedAttempt) -> Iterator[Instruction]:
        """Keep the slot of an attempt for the next task of its run, if it has one.

        The task can be claimed when the end is committed. Attempts that have been claimed ahead
        would take the slot, so those that were claimed last are given back.
        """
        if ended.next_priority is None:
            return
        self._followed[ended.claim.token] = ended.next_priority
        excess = self._unfinished + len(self._followed) - self._slots
        for token in self._not_started(up_to=ended.next_priority)[: max(0, excess)]:
            self._unwanted.add(token)
        for waiting in list(self._waiting):
            if waiting.attempt.claim.token in self._unwanted:
                self._waiting.remove(waiting)
                yield self._give_back(waiting.attempt)

    def _not_started(self, *, up_to: int) -> list[str]:
        """Return the attempts that have not started, up to a priority, the latest claim first."""
        others = self._running | self._committing | self._unwanted
        found = []
        for token, attempt in self._attempts.items():
            if token not in others and attempt.claim.priority <= up_to:
                found.append(token)
        return found[::-1]

    def _commit(
        self, attempt: ClaimedAttempt, end: Ended | Reused | KnownFailure
    ) -> Commit:
        self._committing.add(attempt.claim.token)
        self._unwanted.discard(attempt.claim.token)
        return Commit(attempt, end)

    def _give_back(self, attempt: ClaimedAttempt) -> GiveBack:
        self._forget([attempt])
        return GiveBack(attempt)

    def _forget(self, attempts: Sequence[ClaimedAttempt]) -> None:
        for attempt in attempts:
            del self._attempts[attempt.claim.token]
            self._committing.discard(attempt.claim.token)
            self._unwanted.discard(attempt.claim.token)
            self._detached.discard(attempt.claim.token)
            self._followed.pop(attempt.claim.token, None)

    def _committed(self, announcement: Committal) -> Iterator[Instruction]:
        keep_files = False
        if isinstance(announcement, AttemptEnded):
            keep_files = announcement.has_unkept_files
            if announcement.status is Status.ERROR:
                self._failures += 1
        is_over = False
        if not isinstance(announcement, AttemptRefused):
            is_over = announcement.run_status is Status.COMPLETE
        if is_over:
            yield ClearAway(announcement.run_id, keep_files=keep_files)
        yield Announce(announcement)

    def _recover(
        self, event: DeadWorkersFound | Recovered
    ) -> Iterator[Instruction]:
        match event:
            case DeadWorkersFound():
                self._is_recovering = True
                yield Recover()
            case Recovered(is_complete):
                self._is_recovering = False
                self._has_recovery_failed = not is_complete

    def _stop(self, times: int) -> Iterator[Instruction]:
        """Claim no more tasks after the first request. Cancel running attempts after the second.

        An interrupted attempt is not a failure: its task waits in the queue to be run again.
        """
        is_first = self._stops == 0
        self._stops = times
        yield from self._leave_detached()
        if times > 1:
            yield from self._cancel(self._running, Interrupted())
        elif is_first and self._running:
            yield Announce(waiting_for(len(self._running)))

    def _leave_detached(self) -> Iterator[Instruction]:
        """Leave the attempts that continue without this worker to the next one."""
        left = [self._attempts[token] for token in self._detached & self._running]
        self._running -= self._detached
        self._forget(left)
        for attempt in left:
            yield Release(attempt)
        if left:
            yield Announce(continuing(len(left)))

    def _kill(self, runs: frozenset[str]) -> Iterator[Instruction]:
        """Cancel the running attempts of these runs, and give back those that wait for a slot."""
        tokens = set()
        for token in self._running:
            claim = self._attempts[token].claim
            if claim.run in runs:
                tokens.add(token)
        yield from self._cancel(tokens, Killed())
        for waiting in list(self._waiting):
            if waiting.attempt.claim.run in runs:
                self._waiting.remove(waiting)
                yield self._give_back(waiting.attempt)

    def _cancel(
        self, tokens: set[str], outcome: Interrupted | Killed
    ) -> Iterator[Instruction]:
        for token in tokens - self._cancelled:
            self._cancelled.add(token)
            yield Cancel(token, outcome)
