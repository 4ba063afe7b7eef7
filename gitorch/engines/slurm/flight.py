"""An attempt in Slurm, and the rules by which its state is judged.

What Slurm reports is a hint, since a controller that was killed may have forgotten a job, or
believe that it waits although it runs. The truth is in the files of the attempt:

- An attempt with a recorded end has ended.
- An attempt that has begun is executed as long as its sign of life changes, whatever Slurm says.
- An attempt that has not begun can be withdrawn, and then never begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec import Struct

from gitorch.engines.contract import Order, Submission
from gitorch.engines.slurm.tables import Job, JobState, Request
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Lost,
    Outcome,
    OutOfMemory,
    Signalled,
    TimedOut,
)

_SIGTERM = 15
_SIGKILL = 9
_SHELL_SIGNALS = 128  # added to a signal's number in an exit code
_OVER_MEMORY = "its job took more memory than it asked for"
_KILLED = (
    "Slurm killed its job, probably because it took more memory than it asked for"
)
# A job that Slurm does not list is looked for again during this time.
GONE_S = 5.0
# After the end of a job, its files may appear late on a network file system.
LATE_S = 2.0
# The pause before a refused batch is submitted again.
_FIRST_PAUSE_S = 1.0
# After this time, a job that was asked to end is ended.
_INSISTS_S = 10.0
# A sign of life that is missed this many times in a row has stopped.
BEATS = 6


class Flight(Struct, kw_only=True):
    """An attempt that was given to Slurm, and what is known about it."""

    token: str
    directory: str
    order: Order | None  # None if an earlier worker has submitted it
    submission: Submission | None = None
    job: Job | None = None  # as squeue showed it last
    asked: float = 0.0  # when squeue was asked for this
    heartbeat_s: float = 5.0
    beat: int | None = None
    beat_seen: float = 0.0  # monotonic
    # Since when Slurm has not listed the job, or has listed it as over; None if it does not.
    gone_since: float | None = None
    ended_since: float | None = None  # since when its end is recorded
    cancelled: Outcome | None = None
    next_cancel: float = 0.0
    cancels: int = 0
    submissions: int = 0

    def see(self, job: Job | None, now: float, *, asked: float) -> None:
        """Note how squeue showed the job; `job` is None if it did not list it."""
        self.job = job
        self.asked = asked
        is_there = job is not None and job.meaning is not JobState.OVER
        if is_there:
            self.gone_since = None
        elif self.gone_since is None:
            self.gone_since = now

    def feel(self, beat: int | None, now: float) -> None:
        """Note the attempt's sign of life."""
        if beat != self.beat:
            self.beat = beat
            self.beat_seen = now

    @property
    def has_begun(self) -> bool:
        return self.beat is not None

    def is_alive(self, now: float) -> bool:
        """Return True if the attempt has begun and its sign of life has not stopped."""
        return self.has_begun and now - self.beat_seen < BEATS * self.heartbeat_s

    def is_gone(self, now: float) -> bool:
        """Return True if Slurm has neither the job nor a late word from it."""
        if self.gone_since is None:
            return False
        patience_s = GONE_S if self.job is None else LATE_S
        patience_s = min(patience_s, 2 * BEATS * self.heartbeat_s)
        return now - self.gone_since >= patience_s

    @property
    def is_seen_after_end(self) -> bool:
        """Return True if Slurm was asked after the recorded end, and the job does not run."""
        if self.ended_since is None or self.asked < self.ended_since:
            return False
        return self.job is None or self.job.meaning is not JobState.RUNNING


class Batch(Struct):
    """Attempts with equal requests, which are submitted as one array."""

    request: Request
    flights: list[Flight]
    since: float
    latest: float
    not_before: float = 0.0
    pause_s: float = _FIRST_PAUSE_S


def jobs_to_cancel(
    flights: Iterable[Flight], now: float
) -> tuple[list[Job], list[Job]]:
    """Return the jobs that are to be asked to end, and those that have not done so in time."""
    gently: list[Job] = []
    at_once: list[Job] = []
    for flight in flights:
        job = flight.job
        if flight.cancelled is None or job is None or now < flight.next_cancel:
            continue
        if flight.cancels:
            at_once.append(job)
        else:
            gently.append(job)
        flight.cancels += 1
        flight.next_cancel = now + _INSISTS_S
    return gently, at_once


class Resubmit(Struct, frozen=True):
    """The job is unknown and has not begun: its order is withdrawn and submitted once more."""


Verdict = Outcome | Resubmit | None


class LastTraces(NamedTuple):
    """Sources that are consulted only if an attempt has left no record of its end.

    `tail` returns the end of the output of the job's own script. `kills_over_memory` returns True
    if Slurm itself kills jobs that take more memory than they asked for.
    """

    tail: Callable[[], str]
    kills_over_memory: Callable[[], bool]


def judge(flight: Flight, now: float, traces: LastTraces) -> Verdict:
    """Return how an attempt without a recorded end has ended, or None if it goes on."""
    if flight.is_alive(now):
        return None
    if flight.has_begun:
        return _judge_silent(flight, now, traces)
    if flight.job is not None and flight.job.meaning is JobState.WAITING:
        reason = flight.job.never_starts
        return CouldNotStart(message=reason) if reason else None
    if not flight.is_gone(now):
        return None
    if flight.cancelled is not None:
        return flight.cancelled
    if flight.job is None:
        return Resubmit()
    return _judge_unbegun(flight.job, traces.tail())


def _judge_silent(flight: Flight, now: float, traces: LastTraces) -> Verdict:
    """Judge an attempt that has begun, and whose sign of life has stopped.

    If Slurm says that the job runs, it may be suspended, or its node may be cut off: Slurm decides.
    """
    job = flight.job
    if job is not None and job.meaning is JobState.WAITING:
        return flight.cancelled or Interrupted(message="its job was requeued")
    if not flight.is_gone(now):
        return None
    if flight.cancelled is not None:
        return flight.cancelled
    if job is None:
        return Lost(message="Slurm does not know its job any more")
    if job.was_killed and traces.kills_over_memory():
        return OutOfMemory(message=_KILLED)
    return outcome_of(job)


def _judge_unbegun(job: Job, tail: str) -> Verdict:
    """Judge an attempt whose job is over, and which has never begun."""
    if job.reason == "DependencyNeverSatisfied":
        return CouldNotStart(message="its dependency is never satisfied")
    if job.state in ("COMPLETED", "FAILED"):
        what = tail or "the node cannot write to the attempt's directory"
        return CouldNotStart(message=f"its job failed before the start: {what}")
    return outcome_of(job)


def outcome_of(job: Job) -> Outcome:
    """Return the outcome of an attempt whose job is over and which could not record its end."""
    match job.state:
        case "TIMEOUT" | "DEADLINE":
            return TimedOut(message="its job reached the time limit in Slurm")
        case "OUT_OF_MEMORY":
            return OutOfMemory(message=_OVER_MEMORY)
        case "CANCELLED":
            return Signalled(signal=_SIGTERM, message=cancelled_by(job))
        case "PREEMPTED":
            return Interrupted(message="its job was preempted")
        case "NODE_FAIL" | "BOOT_FAIL":
            return Lost(message=f"its node failed: {job.nodes}")
        case state:
            return Lost(message=f"its job ended without a record: {state}")


def cancelled_by(job: Job) -> str:
    """Return that a job was cancelled in Slurm, which gitorch did not ask for."""
    return f"its job {job.number} was cancelled in Slurm"


def explained(outcome: Outcome, flight: Flight) -> Outcome | None:
    """Return a recorded outcome, with the cause if the program was ended through Slurm.

    Slurm signals all processes of a job, so the program may end before the slot is asked to end it.
    Return None as long as the cause is not known.
    """
    number = _signal_of(outcome)
    if number not in (_SIGTERM, _SIGKILL):
        return outcome
    if number == _SIGTERM and flight.cancelled is not None:
        return flight.cancelled
    if not flight.is_seen_after_end:
        return None
    if number == _SIGTERM:
        return _cause_of_sigterm(flight.job) or outcome
    if flight.job is not None and flight.job.state == "OUT_OF_MEMORY":
        return outcome_of(flight.job)
    return outcome


def _cause_of_sigterm(job: Job | None) -> Outcome | None:
    """Return why Slurm has sent SIGTERM to a job that does not run any more, None if it has not."""
    if job is None:
        return Lost(message="Slurm did not know its job any more, and ended it")
    if job.meaning is JobState.WAITING:
        return Interrupted(message="its job was preempted and requeued")
    if job.state in ("CANCELLED", "PREEMPTED", "TIMEOUT", "NODE_FAIL"):
        return outcome_of(job)
    return None


def _signal_of(outcome: Outcome) -> int | None:
    """Return the signal that has ended the program, or a program that a shell waited for."""
    match outcome:
        case Signalled(signal=number):
            return number
        case ExitCode(exit_code=code) if code > _SHELL_SIGNALS:
            return code - _SHELL_SIGNALS
        case _:
            return None
