"""The worker: claims tasks, has them prepared, executed and committed, N at a time.

The main thread claims and talks to the engine. Preparers make worktrees ready; the committer gathers what ended and
commits it, together what ends in short succession while every slot is busy; a third thread keeps worktrees ready ahead.
They answer through one inbox, so that no thread waits for another's disk and only the main one changes what the pool
knows.
"""

from __future__ import annotations

import gc
import math
import queue
import selectors
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from msgspec import Struct, field

from gitorch.engines.contract import Ended, Engine, Order
from gitorch.errors import GitorchError
from gitorch.model.run.announce import (
    Announcement,
    AttemptEnded,
    AttemptStarted,
    Listener,
    Noticed,
    TaskReused,
)
from gitorch.model.run.outcome import CouldNotStart, Interrupted, Killed, Outcome
from gitorch.model.run.status import Status
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.liveness import living
from gitorch.runs.reuse import Reused, Reuser
from gitorch.runs.site import Site
from gitorch.worker.attempt import is_at_hand, prepare
from gitorch.worker.commit import commit
from gitorch.worker.gather import gather
from gitorch.worker.inbox import Inbox
from gitorch.worker.prefetch import Prefetch
from gitorch.worker.recover import recover
from gitorch.worker.shares import Shares
from gitorch.worker.surroundings import Surroundings

LARGEST_BATCH = 64
FEW = 4  # worktrees ahead, and ends in a batch, for a worker with one slot or two
GATHERING_S = 0.1  # an end waits so long for others to be committed with it, unless a slot is waiting for the commit
PREPARERS = 4
# While attempts take less, tasks are claimed ahead, and no longer kept waiting for their slots: all who look see them
# running, though they are about to.
SHORT_S = 0.25
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SWITCH_S = 0.0005  # a slot that is free must not wait 5 ms, Python's own, for a thread that commits
GARBAGE = (
    20_000  # objects until it is looked for; with Python's own 700 that took 7 % of a worker's time
)
DEAD_S = 2.0  # how often it is looked whether another worker has died
WISHES_S = 0.2  # how often the queue is looked at for runs to be killed


class Summary(Struct):
    """What a worker did: the runs it executed tasks of, with label and last status; whether it was told to stop."""

    runs: dict[str, tuple[str, Status]] = field(default_factory=dict)
    interrupted: bool = False


class _Prepared(NamedTuple):
    attempt: ClaimedAttempt
    order: Order
    at: float  # by the monotonic clock


class _Unprepared(NamedTuple):
    attempt: ClaimedAttempt
    error: Exception


class _GivenBack(NamedTuple):
    """It waits in the queue for another that computes the same."""

    attempt: ClaimedAttempt


class _Committed(NamedTuple):
    attempts: Sequence[ClaimedAttempt]
    announcements: Sequence[AttemptEnded | TaskReused]


class _Stuck(NamedTuple):
    """These attempts could not be seen through: the disk is full, the repository gone. The next start will."""

    attempts: Sequence[ClaimedAttempt]
    error: BaseException


class _Wish(Enum):
    """What the committer is asked for besides."""

    SOON = auto()  # to be ready: something has begun
    NOW = auto()  # to commit what it has: a slot has nothing to do until then
    LAST = auto()  # to commit what it has, and be done


class _Recovered(NamedTuple):
    """What dead workers had in hand has been seen to, or could not be."""

    done: bool


_Message = (
    _Prepared | _Unprepared | Reused | _GivenBack | _Committed | _Stuck | _Recovered | Announcement
)


class Pool:
    """One worker at work; made for one `work()`."""

    def __init__(
        self,
        site: Site,
        engine: Engine,
        worker: str,
        listener: Listener,
        *,
        surroundings: Surroundings,
        by: str,
        holder: Path,
        only: Sequence[str] | None = None,
        stop_after: int | None = None,
        watch: bool = False,
        reuse: bool = True,
    ) -> None:
        """`holder` is what the engine's processes keep locked; `stop_after` failures nothing more is begun; with
        `watch` the end of the queue is waited for more; without `reuse` all is computed anew."""
        self._site = site
        self._engine = engine
        self._worker = worker
        self._listener = listener
        self._only = only
        self._stop_after = stop_after
        self._watch = watch
        self._shares = Shares(site, holder)
        self._reuser = Reuser(site, takes=reuse)
        self._failures = 0
        self._surroundings = surroundings
        self._by = by
        self._inbox: Inbox[_Message] = Inbox()
        # So many worktrees suffice ahead of the claims, since those of so many finished runs come back together.
        self._enough = max(FEW, 2 * engine.slots)
        self._ahead = Prefetch(site, only, self._inbox.post, enough=self._enough)
        self._to_commit: queue.SimpleQueue[tuple[ClaimedAttempt, Ended] | Reused | _Wish] = (
            queue.SimpleQueue()
        )
        self._in_hand: dict[str, ClaimedAttempt] = {}  # by token, from the claim until the commit
        self._prepared: deque[_Prepared] = deque()  # to be started when there is a slot
        self._in_engine: set[str] = set()
        self._committing: set[str] = set()
        self._cancelled: set[str] = set()
        self._took_s = math.inf  # the attempt that ended last
        self._stops = 0
        self._told = False
        self._has_begun = False
        self._is_recovering = False
        self._can_recover = True
        self._next_look = time.monotonic() + DEAD_S
        self._changes = -1
        self._stuck: BaseException | None = None
        self._summary = Summary()

    def work(self) -> Summary:
        """Run what can be claimed until nothing can and nothing of ours runs. Raises what made it give up."""
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()  # what was loaded stays: it need not be looked through for garbage again and again
        gc.set_threshold(GARBAGE)
        with self._stoppable(), self._engine, self._threads() as preparers:
            while True:
                self._claim_what_fits(preparers)
                if self._is_over() and not (self._can_recover and self._look_for_dead(preparers)):
                    break
                self._wait()
                for message in self._inbox.drain():
                    self._receive(message)
                for ended in self._engine.poll():
                    self._took_s = ended.duration_s
                    self._hand_to_committer(self._in_hand[ended.token], ended)
                self._start_what_fits()
                self._heed_stops()
                self._heed_kills()
                if time.monotonic() > self._next_look:
                    self._look_for_dead(preparers)
        for message in self._inbox.drain():
            self._receive(message)
        self._inbox.close()
        self._summary.interrupted = self._stops > 0
        if self._stuck:
            raise self._stuck
        return self._summary

    # -- the main thread's steps

    def _takes_more(self) -> bool:
        if self._stops or self._stuck:
            return False
        # Only what is committed is known to be a failure.
        return self._stop_after is None or (
            self._failures < self._stop_after and not self._committing
        )

    def _is_over(self) -> bool:
        """Nothing is in hand, and nothing will be: neither after a backoff nor when others give back what they took."""
        if self._in_hand or self._is_recovering:
            return False
        if self._watch and not (self._stops or self._stuck):
            return False
        return not self._takes_more() or not self._site.queue.claimable(
            self._only, self._shares.total
        )

    def _claim_what_fits(self, preparers: ThreadPoolExecutor) -> None:
        """A task for each slot; and another for each while they are short, which is ready when the slot is free."""
        beyond = self._engine.slots if self._took_s < SHORT_S and self._stop_after is None else 0
        while self._takes_more() and (waiting := self._to_begin()) < self._engine.slots + beyond:
            attempt = self._shares.claim(
                self._worker, self._only, ahead=waiting >= self._engine.slots
            )
            if attempt is None:
                break
            claim = attempt.claim
            self._in_hand[claim.token] = attempt
            if not attempt.task.cache and is_at_hand(self._site, attempt):
                self._receive(self._prepare(attempt))  # quicker than to hand it over and to be told
                self._start_what_fits()
            else:
                preparers.submit(self._prepare_aside, attempt)
            self._ahead.look()
        if self._committing and self._to_begin() < self._engine.slots:
            self._to_commit.put(_Wish.NOW)

    def _to_begin(self) -> int:
        """How many tasks in hand are begun or to be begun."""
        return len(self._in_hand) - len(self._committing)

    def _wait(self) -> None:
        with selectors.PollSelector() as selector:  # made and used with one system call
            for source in (self._inbox.fileno(), *self._engine.descriptors()):
                selector.register(source, selectors.EVENT_READ)
            selector.select(
                self._engine.poll_interval_s if self._engine.poll_interval_s else WISHES_S
            )

    def _receive(self, message: _Message) -> None:
        match message:
            case _Prepared():
                self._prepared.append(message)
            case _Unprepared(attempt, error):
                self._end_unstarted(attempt, CouldNotStart(message=str(error)))
            case Reused():
                self._hand_to_committer(message.attempt, message)
            case _GivenBack(attempt):
                self._give_back(attempt)
            case _Committed(attempts, announcements):
                self._let_go(attempts)
                for announcement in announcements:
                    self._summary.runs[announcement.run] = (
                        announcement.label,
                        announcement.run_status,
                    )
                    ended = announcement if isinstance(announcement, AttemptEnded) else None
                    self._failures += ended is not None and ended.status is Status.ERROR
                    if announcement.run_status is Status.COMPLETE:
                        keep_files = ended is not None and ended.has_unkept_files
                        self._ahead.clear_away(announcement.run, keep_files=keep_files)
                    self._listener(announcement)
            case _Stuck(attempts, error):
                self._let_go(attempts)
                self._stuck = self._stuck or error
            case _Recovered(done):
                self._is_recovering = False
                self._can_recover = done
            case AttemptEnded() | TaskReused():
                self._summary.runs.setdefault(message.run, (message.label, message.run_status))
                self._listener(message)
            case AttemptStarted() | Noticed():
                self._listener(message)

    def _start_what_fits(self) -> None:
        """Start what is prepared; what cannot be soon, as others take longer than those before, is left to others."""
        while self._prepared and self._engine.free() and not (self._stops or self._stuck):
            self._start(*self._prepared.popleft()[:2])
        while self._prepared and (
            self._stops or self._stuck or time.monotonic() > self._prepared[0].at + SHORT_S
        ):
            self._give_back(self._prepared.popleft().attempt)
            self._took_s = math.inf

    def _start(self, attempt: ClaimedAttempt, order: Order) -> None:
        claim = attempt.claim
        self._in_hand[claim.token] = attempt  # by now it may be known what it computes
        if not self._site.queue.is_current(claim.run, claim.task, claim.token):
            self._give_back(attempt)
            return
        self._engine.submit(order)
        self._in_engine.add(claim.token)
        if not self._has_begun:
            self._has_begun = True
            self._to_commit.put(_Wish.SOON)
        self._listener(
            AttemptStarted(
                run=claim.run,
                label=attempt.payload.spec.label,
                task=claim.task,
                number=claim.number,
                events=attempt.directory.events,
            )
        )

    def _end_unstarted(self, attempt: ClaimedAttempt, outcome: Outcome) -> None:
        self._hand_to_committer(attempt, Ended.unrecorded(attempt.claim.token, outcome))

    def _give_back(self, attempt: ClaimedAttempt) -> None:
        self._site.queue.give_back(attempt.claim)
        self._let_go([attempt])

    def _let_go(self, attempts: Sequence[ClaimedAttempt]) -> None:
        for attempt in attempts:
            del self._in_hand[attempt.claim.token]
            self._committing.discard(attempt.claim.token)
            self._shares.give_back(attempt.claim.token)

    def _hand_to_committer(self, attempt: ClaimedAttempt, end: Ended | Reused) -> None:
        token = attempt.claim.token
        self._in_engine.discard(token)
        self._shares.give_back(token)
        self._committing.add(token)
        self._to_commit.put(end if isinstance(end, Reused) else (attempt, end))

    def _heed_stops(self) -> None:
        """Asked once, take nothing more; asked twice, end what runs: it will wait to be run again."""
        if self._stops == 1 and self._in_engine and not self._told:
            self._told = True
            count = len(self._in_engine)
            many = f"{count} running task{'s' if count > 1 else ''}"
            self._listener(
                Noticed(message=f"taking no more, waiting for {many}; once more ends them")
            )
        if self._stops > 1:
            for token in self._in_engine - self._cancelled:
                self._engine.cancel(token, Interrupted())
                self._cancelled.add(token)

    def _heed_kills(self) -> None:
        """End what runs of runs that somebody wants to kill; their queue entry tells when nothing does any more."""
        changes = self._site.queue.changes()
        if changes == self._changes:
            return
        self._changes = changes
        doomed = self._site.queue.kill_requests()
        for token in self._in_engine - self._cancelled:
            if self._in_hand[token].claim.run in doomed:
                self._engine.cancel(token, Killed())
                self._cancelled.add(token)
        for prepared in [
            prepared for prepared in self._prepared if prepared.attempt.claim.run in doomed
        ]:
            self._prepared.remove(prepared)
            self._give_back(prepared.attempt)

    def _look_for_dead(self, preparers: ThreadPoolExecutor) -> bool:
        """Have what dead workers had in hand collected or given back; gives whether there are any."""
        self._next_look = time.monotonic() + DEAD_S
        others = [worker for worker in self._site.queue.workers() if worker.id != self._worker]
        if (
            self._is_recovering
            or self._stops
            or self._stuck
            or len(living(self._site.state, others)) == len(others)
        ):
            return self._is_recovering
        self._is_recovering = True
        preparers.submit(self._recover)
        return True

    # -- the other threads

    def _prepare(
        self, attempt: ClaimedAttempt
    ) -> _Prepared | _Unprepared | Reused | _GivenBack | _Stuck:
        try:
            match self._reuser.settle(attempt):
                case Reused() as reused:
                    return reused
                case None:
                    return _GivenBack(attempt)
                case settled:
                    order = prepare(self._site, settled, self._surroundings)
                    return _Prepared(settled, order, time.monotonic())
        except (GitorchError, OSError) as error:
            return _Unprepared(attempt, error)
        except BaseException as error:
            return _Stuck([attempt], error)

    def _prepare_aside(self, attempt: ClaimedAttempt) -> None:
        self._inbox.post(self._prepare(attempt))

    def _recover(self) -> None:
        done = False
        try:
            recover(self._site, self._surroundings, self._inbox.post)
            done = True
        except (GitorchError, OSError) as error:
            self._inbox.post(Noticed(message=str(error)))
        except BaseException as error:
            self._inbox.post(_Stuck([], error))
        self._inbox.post(_Recovered(done))

    def _commit_all(self) -> None:
        """Commit what has ended, until the last."""
        wish = None
        while wish is not _Wish.LAST:
            batch, wish = self._next_batch()
            if batch:
                self._commit(batch)

    def _next_batch(self) -> tuple[list[tuple[ClaimedAttempt, Ended] | Reused], _Wish | None]:
        """What has ended: at least one, and what follows it until that is wished, enough, or has taken GATHERING_S.

        What was reused had no worktree to give back, so of that many more are enough.
        """
        batch: list[tuple[ClaimedAttempt, Ended] | Reused] = []
        deadline = math.inf
        with suppress(queue.Empty):
            while (
                len(batch) < LARGEST_BATCH
                and sum(not isinstance(end, Reused) for end in batch) < self._enough
            ):
                match self._to_commit.get(
                    timeout=max(0.0, deadline - time.monotonic()) if batch else None
                ):
                    case _Wish.SOON:
                        with suppress(Exception):  # the commit will say what is wrong
                            self._site.results.view()  # loads what that takes
                    case _Wish() as wish if batch or wish is _Wish.LAST:
                        return batch, wish
                    case (_, _) | Reused() as end:
                        deadline = min(deadline, time.monotonic() + GATHERING_S)
                        batch.append(end)
        return batch, None

    def _commit(self, batch: list[tuple[ClaimedAttempt, Ended] | Reused]) -> None:
        attempts = [end.attempt if isinstance(end, Reused) else end[0] for end in batch]
        try:
            endings = [
                end if isinstance(end, Reused) else gather(self._site, *end, self._surroundings)
                for end in batch
            ]
            self._inbox.post(_Committed(attempts, commit(self._site, endings, by=self._by)))
        except BaseException as error:
            self._inbox.post(_Stuck(attempts, error))

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """The preparers, the committer and the one that looks ahead, all of them ended at the end."""
        committer = threading.Thread(target=self._commit_all, name="committer")
        with ThreadPoolExecutor(PREPARERS, "preparer") as preparers, self._ahead:
            committer.start()
            try:
                yield preparers
            finally:
                self._to_commit.put(_Wish.LAST)
                committer.join()

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Signals only count, and wake the main thread: the loop decides what they mean."""

        def stop(number: int, _: FrameType | None) -> None:
            self._stops += 1 if number == signal.SIGINT else 2

        heeded = [
            number for number in _STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
        ]  # nohup, `&`
        before = {number: signal.signal(number, stop) for number in heeded}
        woken = signal.set_wakeup_fd(self._inbox.waker, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
