"""The rules of a worker, one by one: events in, instructions out, with the time passed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitorch.database.values import Claim
from gitorch.engines.contract import Ended, Order
from gitorch.model.run.announcement import AttemptEnded, Noticed, TaskReused
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Killed,
    Succeeded,
)
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Attempt
from gitorch.model.run.status import Status
from gitorch.model.workspace import RunDirectory
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.reuse import Reused
from gitorch.worker.pool_options import PoolOptions
from gitorch.worker.protocol import (
    Announce,
    Cancel,
    Claimed,
    ClearAway,
    Commit,
    Committed,
    DeadWorkersFound,
    Deferred,
    Event,
    GiveBack,
    Instruction,
    KillRequested,
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
    Ticked,
    Unprepared,
)
from gitorch.worker.scheduler import SHORT_S, Scheduler

LONG_S = 100 * SHORT_S


class Play:
    """A scheduler with two slots, and a clock that stands still until `later`."""

    def __init__(self, slots: int = 2, **options: Any) -> None:
        self.scheduler = Scheduler(slots, PoolOptions(**options))
        self.now = 1000.0

    def on(self, event: Event) -> list[Instruction]:
        return self.scheduler.on(event, self.now)

    def later(self, seconds: float) -> list[Instruction]:
        self.now += seconds
        return self.on(Ticked())

    def start(self, name: str, *, run: str = "r", **facts: Any) -> ClaimedAttempt:
        """Claim and prepare an attempt, which then starts or waits for a slot."""
        claimed = attempt(name, run=run, **facts)
        self.on(Claimed(claimed, is_quick=False))
        self.on(Prepared(claimed, order(name)))
        return claimed

    def finish(
        self, claimed: ClaimedAttempt, *, status: Status = Status.COMPLETE
    ) -> None:
        """Have an attempt that is being committed committed."""
        self.on(Committed([claimed], [announcement(claimed, status=status)]))


@pytest.fixture
def play() -> Play:
    return Play()


def attempt(
    name: str,
    *,
    run: str = "r",
    priority: int = 0,
    next_priority: int | None = None,
) -> ClaimedAttempt:
    """Return an attempt whose token is its name. The scheduler does not look at its payload."""
    claim = Claim(
        run=run,
        task=name,
        token=name,
        number=1,
        started="2020-01-01T00:00:00.000Z",
        payload={},
        retries=0,
        losses=0,
        priority=priority,
    )
    directory = RunDirectory.of(Path("/workspace"), run)
    payload: Any = None
    return ClaimedAttempt(
        claim=claim,
        payload=payload,
        run=directory,
        directory=directory.attempt(name, 1),
        next_priority=next_priority,
    )


def order(name: str) -> Order:
    return Order(
        token=name, directory=Path("/"), argv=["true"], cwd=Path("/"), env={}
    )


def ended(name: str, *, duration_s: float = LONG_S) -> Ended:
    moment = "2020-01-01T00:00:00.000Z"
    return Ended(
        token=name,
        outcome=Succeeded(),
        started=moment,
        ended=moment,
        duration_s=duration_s,
    )


def announcement(
    claimed: ClaimedAttempt,
    *,
    status: Status = Status.COMPLETE,
    has_unkept_files: bool = False,
) -> AttemptEnded:
    attempt = Attempt(
        number=1,
        token=claimed.claim.token,
        started="2020-01-01T00:00:00.000Z",
        ended="2020-01-01T00:00:01.000Z",
        duration_s=1.0,
        host="lab",
        outcome=Succeeded() if status is Status.COMPLETE else ExitCode(exit_code=1),
        pin=Pin(commit="c" * 40, tree="d" * 40),
        notes=("fifo: not a file",) if has_unkept_files else (),
    )
    return AttemptEnded(
        run_id=claimed.claim.run,
        label="",
        task=claimed.claim.task,
        attempt=attempt,
        status=status,
        run_status=status,
    )


# -- the way of an attempt


def test_an_attempt_from_the_claim_to_its_announcement(play: Play) -> None:
    one = attempt("one")
    assert play.on(Claimed(one, is_quick=False)) == [
        Prepare(one, in_thread=True),
        PrepareNextRuns(),
    ]
    assert play.on(Prepared(one, order("one"))) == [Start(one, order("one"))]
    assert play.on(ended("one")) == [Commit(one, ended("one"))]
    assert not play.scheduler.is_idle
    announced = announcement(one)
    assert play.on(Committed([one], [announced])) == [
        ClearAway("r", keep_files=False),
        Announce(announced),
    ]
    assert play.scheduler.is_idle


def test_a_quick_preparation_needs_no_thread(play: Play) -> None:
    one = attempt("one")
    assert Prepare(one, in_thread=False) in play.on(Claimed(one, is_quick=True))


def test_an_attempt_that_cannot_be_prepared_is_committed_as_such(
    play: Play,
) -> None:
    one = attempt("one")
    play.on(Claimed(one, is_quick=False))
    end = Ended.unrecorded("one", CouldNotStart(message="no such interpreter"))
    assert play.on(Unprepared(one, end)) == [Commit(one, end)]


def test_a_reused_result_is_committed_without_a_start(play: Play) -> None:
    one = attempt("one")
    play.on(Claimed(one, is_quick=False))
    reused = Reused(attempt=one, reuse=None)
    assert play.on(reused) == [Commit(one, reused)]
    announced = TaskReused(
        run_id="r", label="", task="one", source="s", run_status=Status.COMPLETE
    )
    assert play.on(Committed([one], [announced])) == [
        ClearAway("r", keep_files=False),
        Announce(announced),
    ]


def test_an_attempt_gives_way_to_another_that_computes_the_same(play: Play) -> None:
    one = attempt("one")
    play.on(Claimed(one, is_quick=False))
    assert play.on(Deferred(one)) == [GiveBack(one)]
    assert play.scheduler.is_idle


def test_a_superseded_attempt_leaves_its_slot_to_the_next(play: Play) -> None:
    one, _, three = [play.start(name) for name in ("one", "two", "three")]
    assert play.on(Superseded(one)) == [GiveBack(one), Start(three, order("three"))]


def test_files_that_could_not_be_kept_stay_in_the_workspace(play: Play) -> None:
    one = play.start("one")
    play.on(ended("one"))
    announced = announcement(one, has_unkept_files=True)
    assert ClearAway("r", keep_files=True) in play.on(Committed([one], [announced]))


def test_the_directories_of_a_failed_run_stay(play: Play) -> None:
    one = play.start("one")
    play.on(ended("one"))
    announced = announcement(one, status=Status.ERROR)
    assert play.on(Committed([one], [announced])) == [Announce(announced)]


# -- what is claimed


def test_a_task_is_claimed_for_each_slot(play: Play) -> None:
    assert play.scheduler.wants_task
    play.start("one")
    assert play.scheduler.wants_task
    play.start("two")
    assert not play.scheduler.wants_task


def test_an_attempt_that_is_being_committed_occupies_no_slot(play: Play) -> None:
    play.start("one")
    play.start("two")
    assert not play.scheduler.waits_for_commit
    play.on(ended("one"))
    assert play.scheduler.wants_task
    assert play.scheduler.waits_for_commit


def test_tasks_are_claimed_ahead_while_attempts_are_short(play: Play) -> None:
    for name in ("one", "two"):
        play.start(name)
    play.on(ended("one", duration_s=SHORT_S / 2))
    play.start("three")
    assert play.scheduler.wants_task
    assert not play.scheduler.has_idle_slot, "the next claim is ahead of a slot"
    play.start("four")
    play.start("five")
    assert not play.scheduler.wants_task, "one ahead for each slot"


def test_nothing_is_claimed_ahead_when_failures_are_counted() -> None:
    play = Play(stop_after=5)
    one = play.start("one")
    play.start("two")
    play.on(ended("one", duration_s=SHORT_S / 2))
    play.finish(one)
    play.start("three")
    assert not play.scheduler.wants_task


def test_a_waiting_attempt_starts_when_a_slot_is_free(play: Play) -> None:
    one, _, three = [play.start(name) for name in ("one", "two", "three")]
    assert play.later(SHORT_S) == []
    assert play.on(ended("one")) == [
        Commit(one, ended("one")),
        Start(three, order("three")),
    ]


def test_an_attempt_that_waits_too_long_for_a_slot_is_given_back(
    play: Play,
) -> None:
    play.start("one")
    play.start("two")
    play.on(ended("one", duration_s=SHORT_S / 2))
    play.start("three")
    four = play.start("four")
    assert play.scheduler.wants_task
    assert play.later(SHORT_S) == []
    assert play.later(0.01) == [GiveBack(four)]
    assert not play.scheduler.wants_task, "attempts are not short any more"


# -- runs that go on


def test_a_slot_is_kept_for_the_next_task_of_the_run(play: Play) -> None:
    one = play.start("one", next_priority=3)
    play.start("two")
    play.on(ended("one"))
    assert play.scheduler.wants_task
    assert play.scheduler.claim_above == 3
    assert play.scheduler.waits_for_commit
    play.finish(one)
    assert play.scheduler.wants_task
    assert play.scheduler.claim_above is None


def test_of_two_idle_slots_only_one_is_kept(play: Play) -> None:
    one = play.start("one", next_priority=0)
    two = play.start("two", next_priority=5)
    play.on(ended("one"))
    play.on(ended("two"))
    assert play.scheduler.claim_above == 0, "both are kept"
    play.start("urgent", priority=1)
    assert play.scheduler.claim_above == 5, "the slot for the priority 0 is taken"
    play.finish(one)
    play.finish(two)
    assert play.scheduler.claim_above is None


def test_what_was_claimed_ahead_is_given_back_for_the_next_task_of_a_run(
    play: Play,
) -> None:
    for name in ("one", "two"):
        play.start(name)
    play.on(ended("one", duration_s=SHORT_S / 2))
    first = play.start("first", next_priority=0)
    assert not play.scheduler.wants_task, "not ahead of the next task of the run"
    play.on(ended("two", duration_s=SHORT_S / 2))
    play.start("three")
    ahead, preparing = attempt("ahead"), attempt("preparing")
    for claimed in (ahead, preparing):
        play.on(Claimed(claimed, is_quick=False))
    play.on(Prepared(ahead, order("ahead")))
    assert play.on(ended("first")) == [
        Commit(first, ended("first")),
        GiveBack(ahead),
    ]
    assert play.on(Prepared(preparing, order("preparing"))) == [GiveBack(preparing)]
    play.finish(first)
    assert play.scheduler.claim_above is None
    assert play.scheduler.has_idle_slot


def test_an_attempt_claimed_ahead_waits_for_one_that_is_being_prepared() -> None:
    play = Play(slots=1)
    play.start("short")
    play.on(ended("short", duration_s=SHORT_S / 2))
    slow, ahead = attempt("slow"), attempt("ahead")
    play.on(Claimed(slow, is_quick=False))
    play.on(Claimed(ahead, is_quick=True))
    assert play.on(Prepared(ahead, order("ahead"))) == []
    assert play.on(Prepared(slow, order("slow"))) == [Start(slow, order("slow"))]


def test_an_urgent_attempt_takes_the_slot_of_the_next_task_of_a_run() -> None:
    play = Play(slots=1)
    one = play.start("one", next_priority=0)
    urgent = play.start("urgent", priority=1)
    assert play.on(ended("one")) == [
        Commit(one, ended("one")),
        Start(urgent, order("urgent")),
    ]


# -- stopping


def test_the_first_stop_waits_for_running_attempts(play: Play) -> None:
    one, two = play.start("one"), play.start("two")
    three = play.start("three")
    [notice, given_back] = play.on(StopRequested(1))
    assert isinstance(notice, Announce)
    assert notice.announcement == Noticed(
        message="taking no more, waiting for 2 running tasks; "
        "Ctrl-C once more, or gitorch stop --now, sends them back to the queue"
    )
    assert given_back == GiveBack(three)
    assert play.on(StopRequested(1)) == [], "it is announced once"
    assert not play.scheduler.takes_tasks
    for claimed in (one, two):
        play.on(ended(claimed.claim.token))
        play.finish(claimed)
    assert play.scheduler.is_idle


def test_the_second_stop_ends_running_attempts(play: Play) -> None:
    play.start("one")
    play.on(StopRequested(1))
    assert play.on(StopRequested(2)) == [Cancel("one", Interrupted())]
    assert play.on(StopRequested(3)) == [], "it is cancelled once"


def test_an_attempt_that_is_prepared_after_a_stop_is_given_back(play: Play) -> None:
    one = attempt("one")
    play.on(Claimed(one, is_quick=False))
    assert play.on(StopRequested(1)) == []
    assert play.on(Prepared(one, order("one"))) == [GiveBack(one)]


def test_a_worker_stops_after_a_number_of_failures() -> None:
    play = Play(stop_after=1)
    one = play.start("one")
    two = play.start("two")
    play.on(ended("one"))
    assert not play.scheduler.takes_tasks, "it is not known whether it failed"
    play.finish(one)
    assert play.scheduler.takes_tasks
    play.on(ended("two"))
    play.finish(two, status=Status.ERROR)
    assert not play.scheduler.takes_tasks


# -- killing


def test_a_killed_run_is_ended_wherever_its_attempts_are(play: Play) -> None:
    play.start("one", run="killed")
    play.start("two", run="other")
    three = play.start("three", run="killed")
    four = play.start("four", run="other")
    assert play.on(KillRequested(frozenset({"killed"}))) == [
        Cancel("one", Killed()),
        GiveBack(three),
    ]
    assert play.on(KillRequested(frozenset({"killed"}))) == [], (
        "it is cancelled once"
    )
    assert Start(four, order("four")) in play.on(ended("one"))


# -- what goes wrong


def test_a_worker_that_is_stuck_takes_no_more(play: Play) -> None:
    one = play.start("one")
    two = play.start("two")
    play.on(ended("one"))
    error = OSError("no space left")
    assert play.on(Stuck([one], error)) == [Release(one)]
    assert play.scheduler.error is error
    assert not play.scheduler.takes_tasks
    assert not play.scheduler.is_idle
    play.on(ended("two"))
    play.on(Stuck([two], OSError("another")))
    assert play.scheduler.error is error, "the first error is the cause"
    assert play.scheduler.is_idle


def test_one_recovery_from_dead_workers_runs_at_a_time(play: Play) -> None:
    assert play.scheduler.may_recover
    assert play.on(DeadWorkersFound()) == [Recover()]
    assert not play.scheduler.may_look_for_dead_workers
    assert not play.scheduler.is_idle, "tasks may come free"
    play.on(Recovered(is_complete=False))
    assert play.scheduler.is_idle
    assert play.scheduler.may_look_for_dead_workers
    assert not play.scheduler.may_recover, "it has just failed"
    play.on(DeadWorkersFound())
    play.on(Recovered(is_complete=True))
    assert play.scheduler.may_recover


def test_a_worker_that_stops_leaves_dead_workers_to_others(play: Play) -> None:
    play.on(StopRequested(1))
    assert not play.scheduler.may_look_for_dead_workers
