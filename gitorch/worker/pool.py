"""The worker: it claims tasks, prepares and executes them, and commits the results.

The main thread claims and talks to the engine. Preparers make worktrees ready, the committer
commits ended attempts, and another thread prefetches worktrees. They answer through one inbox.
Therefore no thread waits until another has used the disk, and only the main thread has the state.

What to do next is decided by the `Scheduler`, which has the rules and nothing else. The pool has
the threads, the disk and the clock: it turns what happens into events, and carries out the
scheduler's instructions.
"""

from __future__ import annotations

import gc
import selectors
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import assert_never

from gitorch.database.values import Worker
from gitorch.engines.contract import Ended
from gitorch.engines.several import Engines
from gitorch.errors import GitorchError
from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    AttemptRefused,
    AttemptStarted,
    Committal,
    Listener,
    Noticed,
    TaskReused,
)
from gitorch.storage.attempt_owner import give_up_ownership, note_start
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.known_failure import KnownFailure
from gitorch.storage.liveness import WorkerFiles, living
from gitorch.storage.reuse import Reused, Reuser
from gitorch.storage.site import Site
from gitorch.storage.stop_requests import Stops, requested_stops
from gitorch.tools import waits
from gitorch.worker.attempt import is_quick_to_prepare
from gitorch.worker.commit import commit
from gitorch.worker.committer import Committer, EndedAttempt, Ending
from gitorch.worker.engine_slots import full_engines
from gitorch.worker.gather import AttemptFiles, gather, not_executed
from gitorch.worker.heirs import Heirs
from gitorch.worker.inbox import Inbox
from gitorch.worker.ownership import rejoin
from gitorch.worker.pool_options import LOCAL, PoolOptions
from gitorch.worker.prefetch import Prefetch
from gitorch.worker.preparation import Preparation
from gitorch.worker.preparers import Preparers
from gitorch.worker.protocol import (
    Announce,
    Cancel,
    Claimed,
    ClearAway,
    Commit,
    DeadWorkersFound,
    Detached,
    Event,
    GiveBack,
    Instruction,
    KillRequested,
    Prepare,
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
    WorkerInstruction,
)
from gitorch.worker.recover import recover
from gitorch.worker.refusal import killed_before_start
from gitorch.worker.scheduler import Scheduler
from gitorch.worker.shares import Shares
from gitorch.worker.stop_signals import caught
from gitorch.worker.summary import Summary
from gitorch.worker.surroundings import Surroundings

FEW = 4  # prefetched worktrees, and ends in a batch, for a worker with one slot or two
SWITCH_S = 0.0005  # a free slot must not wait 5 ms, Python's default, for a thread that commits
# The number of new objects after which Python looks for garbage. Its default of 700 took 7 % of a
# worker's time.
GARBAGE = 20_000
DEAD_S = 2.0  # the time between two looks for dead workers
# The least and the greatest time between two looks at what other commands ask for.
REQUESTS_S = 0.1
WAIT_S = 0.2


class Pool:
    """One worker at work; made for one `work()`."""

    def __init__(
        self,
        site: Site,
        engine: Engines,
        worker: Worker,
        listener: Listener,
        *,
        surroundings: Surroundings,
        by: str,
        files: WorkerFiles,
        options: PoolOptions,
    ) -> None:
        """`files` are those of the worker; `by` names the worker."""
        self._site = site
        self._engine = engine
        self._worker = worker
        self._listener = listener
        self._surroundings = surroundings
        self._by = by
        self._options = options
        self._scheduler = Scheduler(engine.slots, options)
        self._shares = Shares(site, files.slots, is_local=options.engine == LOCAL)
        self._preparation = Preparation(
            site,
            Reuser(site, is_enabled=options.reuse),
            surroundings,
            worker,
            engine=options.engine,
        )
        self._inbox: Inbox[Event | Announcement] = Inbox()
        # Finished runs hand their worktrees on in batches of this size, so as many suffice ahead.
        enough = max(FEW, 2 * engine.slots)
        self._prefetch = Prefetch(
            site, options.only, self._inbox.post, enough=enough
        )
        self._committer = Committer(
            self._gather_and_commit,
            self._load_branch,
            self._inbox.post,
            enough=enough,
        )
        self._heirs = Heirs(site, worker, self._inbox.post, only=options.only)
        self._preparers = Preparers()
        self._stops = 0  # counted by the signal handler
        self._requested_stops = Stops.NONE  # by `gitorch stop`
        self._stop_file = files.stop
        self._next_requests = 0.0
        self._next_look = time.monotonic() + DEAD_S
        self._queue_version = -1
        self._summary = Summary()

    def work(self) -> Summary:
        """Run tasks until none can be claimed and none of this worker is running.

        Raises the error that kept an attempt from completion.
        """
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()  # the loaded modules stay, so they need not be searched for garbage
        gc.set_threshold(GARBAGE)
        with (
            self._stoppable(),
            self._engine,
            self._preparers,
            self._prefetch,
            self._committer,
        ):
            self._loop()
        self._receive_all()
        self._inbox.close()
        self._summary.interrupted = max(self._stops, self._requested_stops) > 0
        if self._scheduler.error is not None:
            raise self._scheduler.error
        return self._summary

    def _loop(self) -> None:
        self._look_for_dead_workers()
        while True:
            self._claim_tasks()
            if self._is_done():
                return
            self._wait()
            self._receive_all()
            self._receive_from_engine()
            self._handle_stops()
            self._handle_requests()
            self._handle(Ticked())
            if time.monotonic() > self._next_look:
                self._look_for_dead_workers()

    # -- from what happens to events

    def _claim_tasks(self) -> None:
        while self._scheduler.wants_task:
            attempt = self._shares.claim(
                self._worker.id,
                self._options.only,
                ahead=not self._scheduler.has_idle_slot,
                above=self._scheduler.claim_above,
                full=full_engines(self._options, self._scheduler),
            )
            if attempt is None:
                break
            # A thread would take longer: it must be woken, and it must wake the main thread.
            is_quick = not attempt.task.cache and is_quick_to_prepare(
                self._site, attempt
            )
            self._handle(Claimed(attempt, is_quick))
            self._handle_stops()
        if self._scheduler.waits_for_commit:
            self._committer.commit_now()

    def _is_done(self) -> bool:
        """Return True if no attempt is left and none will come.

        A task can come after a backoff, or when another worker gives it back or is found dead.
        """
        if not self._scheduler.is_idle:
            return False
        if self._options.watch and not self._scheduler.is_stopping:
            return False
        if self._scheduler.takes_tasks and self._site.queue.claimable(
            self._options.only, self._shares.total
        ):
            return False
        return not (self._scheduler.may_recover and self._look_for_dead_workers())

    def _wait(self) -> None:
        """Wait for a message, for news of the engine or for a signal.

        The wait is short, since no request of another command wakes a worker.
        """
        with (
            selectors.PollSelector() as selector
        ):  # made and used with one system call
            for source in (self._inbox.fileno(), *self._engine.descriptors()):
                selector.register(source, selectors.EVENT_READ)
            selector.select(self._engine.poll_interval_s or WAIT_S)

    def _receive_all(self) -> None:
        for message in self._inbox.drain():
            match message:
                # The other threads announce what the recovery did, and what they notice.
                case AttemptEnded() | TaskReused() | AttemptRefused() | Noticed():
                    self._announce(message)
                case AttemptStarted():
                    self._announce(message)
                case TakenOver(attempt, engine):
                    self._take_over(attempt, engine)
                case _:
                    self._handle(message)

    def _receive_from_engine(self) -> None:
        for ended in self._engine.poll():
            if self._scheduler.is_running(ended.token):
                self._handle(ended)
        for notice in self._engine.notices():
            self._announce(Noticed(message=notice))

    def _handle_requests(self) -> None:
        """Look at what other commands ask for, unless the last look was a moment ago."""
        now = time.monotonic()
        if now < self._next_requests:
            return
        self._next_requests = now + REQUESTS_S
        requested = requested_stops(self._stop_file)
        if requested > self._requested_stops:
            self._requested_stops = requested
            self._end_waits(requested)
        self._handle_stops()
        self._rejoin_replaced_queue()
        self._handle_kills()

    def _handle_stops(self) -> None:
        stops = max(self._stops, self._requested_stops)
        if stops > 0:
            self._handle(StopRequested(stops))

    def _rejoin_replaced_queue(self) -> None:
        if self._scheduler.error is None and self._site.queue.is_replaced():
            rejoin(self._site, self._worker, self._scheduler.attempts)
            self._queue_version = -1

    def _handle_kills(self) -> None:
        version = self._site.queue.changes()
        if version != self._queue_version:
            self._queue_version = version
            self._handle(KillRequested(frozenset(self._site.queue.kill_requests())))

    def _look_for_dead_workers(self) -> bool:
        """Look for dead workers. Return True if there are any: their recovery has then begun."""
        self._next_look = time.monotonic() + DEAD_S
        if not self._scheduler.may_look_for_dead_workers:
            return False
        others = self._heirs.others()
        if len(living(self._site.state, others)) == len(others):
            return False
        self._handle(DeadWorkersFound())
        return True

    # -- carrying out instructions

    def _handle(self, event: Event) -> None:
        """Give an event to the scheduler, and carry out its instructions one after another."""
        for instruction in self._scheduler.on(event, time.monotonic()):
            self._carry_out(instruction)

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Prepare(attempt, in_thread=True):
                self._preparers.submit(self._prepare_and_post, attempt)
            case Prepare(attempt):
                self._handle(self._preparation.prepare(attempt))
            case Start():
                self._start(instruction)
            case Cancel(token, outcome):
                self._engine.cancel(token, outcome)
            case Commit(attempt, end):
                self._shares.give_back(attempt.claim.token)
                if isinstance(end, Ended):
                    self._committer.add(EndedAttempt(attempt, end))
                else:
                    self._committer.add(end)
            case GiveBack(attempt):
                give_up_ownership(attempt)
                self._site.queue.give_back(attempt.claim)
                self._shares.give_back(attempt.claim.token)
            case Release(attempt):
                self._shares.give_back(attempt.claim.token)
            case _:
                self._carry_out_for_worker(instruction)

    def _carry_out_for_worker(self, instruction: WorkerInstruction) -> None:
        match instruction:
            case PrepareNextRuns():
                self._prefetch.prepare_next_runs()
            case ClearAway(run_id, keep_files):
                self._prefetch.clear_away(run_id, keep_files=keep_files)
            case Announce(announcement):
                self._announce(announcement)
            case Recover():
                self._preparers.submit(self._recover)
            case _:
                assert_never(instruction)

    def _announce(self, announcement: Announcement) -> None:
        self._summary.note(announcement)
        self._listener(announcement)

    def _start(self, instruction: Start) -> None:
        attempt = instruction.attempt
        claim = attempt.claim
        if not self._site.queue.is_current(claim.run, claim.task, claim.token):
            self._handle(Superseded(attempt))
            killed = killed_before_start(self._site, attempt)
            if killed is not None:
                self._announce(killed)
            return
        note_start(attempt)
        self._engine.submit(instruction.order)
        if self._engine.continues(instruction.order.engine):
            self._handle(Detached(claim.token))
        self._committer.warm_up()
        self._listener(
            AttemptStarted(
                run_id=claim.run,
                label=attempt.payload.spec.label,
                task=claim.task,
                number=claim.number,
                events=attempt.directory.events,
            )
        )

    def _take_over(self, attempt: ClaimedAttempt, engine: str) -> None:
        claim = attempt.claim
        try:
            is_found = self._engine.take_over(
                claim.token, attempt.directory.path, engine
            )
        except GitorchError as error:
            self._announce(Noticed(message=f"{claim.run} goes on: {error.message}"))
            return
        if is_found:
            self._handle(TakenOver(attempt, engine))

    # -- the other threads

    def _prepare_and_post(self, attempt: ClaimedAttempt) -> None:
        self._inbox.post(self._preparation.prepare(attempt))

    def _recover(self) -> None:
        is_complete = False
        try:
            recover(
                self._site,
                self._surroundings,
                self._inbox.post,
                adopt=self._heirs.adopt,
            )
            is_complete = True
        except (GitorchError, OSError) as error:
            self._inbox.post(Noticed(message=str(error)))
        except BaseException as error:
            self._inbox.post(Stuck([], error))
        self._inbox.post(Recovered(is_complete))

    def _gather_and_commit(self, batch: Sequence[Ending]) -> Sequence[Committal]:
        endings: list[AttemptFiles | Reused] = []
        for ending in batch:
            match ending:
                case EndedAttempt(attempt, ended):
                    endings.append(
                        gather(self._site, attempt, ended, self._surroundings)
                    )
                case KnownFailure():
                    endings.append(not_executed(ending))
                case Reused():
                    endings.append(ending)
        return commit(self._site, endings, by=self._by)

    def _load_branch(self) -> None:
        """Load what the first commit needs."""
        self._site.results.view()

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Only count signals. They wake the main thread, which decides how to react.

        What waits for another process does not return to the main thread, so it is interrupted,
        unless tasks are to be finished first.
        """

        def stop(number: int) -> None:
            self._stops += 1 if number == signal.SIGINT else 2
            self._end_waits(self._stops)

        with caught(stop, self._inbox.waker):
            try:
                yield
            finally:
                waits.forget_stop()

    def _end_waits(self, stops: int) -> None:
        """End the waits for other processes, unless tasks are to be finished first."""
        if stops > 1 or self._engine.free() == self._engine.slots:
            waits.request_stop()
