"""The events and instructions that the pool and its scheduler exchange.

An event is something that happened. An instruction is something that the pool has to do.

Each attempt takes one of these ways. Names in capitals are events, the others are instructions:

    CLAIMED, Prepare ─┬─ PREPARED, Start ─┬─ ENDED ────────┬─ Commit, COMMITTED
                      ├─ UNPREPARED ──────│────────────────┤
                      ├─ REUSED ──────────│────────────────┘
                      ├─ DEFERRED ────────┴─ SUPERSEDED ─┬─── GiveBack
                      ├─ OUT OF SPACE ───────────────────┘
                      └─ STUCK ────────────────────────────── Release

An attempt that is being committed can become STUCK, too. An attempt that is TAKEN OVER from a dead
worker begins at ENDED. An attempt that is DETACHED is released when the worker stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gitorch.engines.contract import Ended, Order
from gitorch.model.run.announcement import Committal, Noticed
from gitorch.model.run.outcome import Interrupted, Killed
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.known_failure import KnownFailure
from gitorch.storage.reuse import Reused
from gitorch.worker.disk_space import DiskFull

# -- events


class Claimed(Struct, frozen=True):
    """The queue gave us a task. `is_quick`: its preparation needs no thread."""

    attempt: ClaimedAttempt
    is_quick: bool


class Prepared(Struct, frozen=True):
    """The attempt can start. `attempt` now has the key of what it computes."""

    attempt: ClaimedAttempt
    order: Order


class Unprepared(Struct, frozen=True):
    """The attempt cannot start, or need not because its failure is known; `end` says why."""

    attempt: ClaimedAttempt
    end: Ended | KnownFailure


class Deferred(Struct, frozen=True):
    """Another task computes the same results; this one waits for them in the queue."""

    attempt: ClaimedAttempt


class Detached(Struct, frozen=True):
    """The attempt was given to an engine in which it continues when this worker ends."""

    token: str


class TakenOver(Struct, frozen=True):
    """The attempt of a dead worker, which continues in an engine, is now one of this worker."""

    attempt: ClaimedAttempt
    engine: str


class OutOfSpace(Struct, frozen=True):
    """The disk is full, so that neither this attempt nor another can start."""

    attempt: ClaimedAttempt
    error: DiskFull


class Superseded(Struct, frozen=True):
    """The claim was no longer current when the attempt was about to start."""

    attempt: ClaimedAttempt


class Committed(Struct, frozen=True):
    """These attempts were committed. Each is announced, as ended or as not accepted."""

    attempts: Sequence[ClaimedAttempt]
    announcements: Sequence[Committal]


class Stuck(Struct, frozen=True):
    """These attempts cannot be completed: the disk is full, or the repository is gone.

    The next worker that starts will complete them.
    """

    attempts: Sequence[ClaimedAttempt]
    error: BaseException


class StopRequested(Struct, frozen=True):
    """The user asked the worker to stop, `times` times so far."""

    times: int


class KillRequested(Struct, frozen=True):
    """The user asked to kill these runs."""

    runs: frozenset[str]


class DeadWorkersFound(Struct, frozen=True):
    """Other workers have died and left attempts behind."""


class Recovered(Struct, frozen=True):
    """The recovery from dead workers has ended; if `is_complete` is False it failed."""

    is_complete: bool


class Ticked(Struct, frozen=True):
    """Time has passed."""


AttemptEvent = (
    Claimed
    | Prepared
    | Unprepared
    | Deferred
    | OutOfSpace
    | Superseded
    | Reused
    | Ended
    | Detached
    | TakenOver
)
WorkerEvent = (
    Committed
    | Stuck
    | StopRequested
    | KillRequested
    | DeadWorkersFound
    | Recovered
    | Ticked
)
Event = AttemptEvent | WorkerEvent


# -- instructions


class Prepare(Struct, frozen=True):
    """Make the attempt ready to start; if `in_thread` is False, at once."""

    attempt: ClaimedAttempt
    in_thread: bool


class Start(Struct, frozen=True):
    """Give the order to the engine, unless the claim has been superseded."""

    attempt: ClaimedAttempt
    order: Order


class Cancel(Struct, frozen=True):
    """End a running attempt, with this outcome."""

    token: str
    outcome: Interrupted | Killed


class Commit(Struct, frozen=True):
    """Commit how the attempt ended. It uses no resources of the machine any more."""

    attempt: ClaimedAttempt
    end: Ended | Reused | KnownFailure


class GiveBack(Struct, frozen=True):
    """Return the claimed task to the queue, as if it had never been claimed."""

    attempt: ClaimedAttempt


class Release(Struct, frozen=True):
    """Free the machine's resources that the attempt has taken. Its claim stays."""

    attempt: ClaimedAttempt


class PrepareNextRuns(Struct, frozen=True):
    """Make worktrees ready for the runs that will be claimed next."""


class ClearAway(Struct, frozen=True):
    """Remove the directories of a completed run; with `keep_files` its outputs stay."""

    run_id: str
    keep_files: bool


class Announce(Struct, frozen=True):
    """Show this to the user."""

    announcement: Committal | Noticed


class Recover(Struct, frozen=True):
    """Commit or give back the attempts that dead workers have left."""


AttemptInstruction = Prepare | Start | Cancel | Commit | GiveBack | Release
WorkerInstruction = PrepareNextRuns | ClearAway | Announce | Recover
Instruction = AttemptInstruction | WorkerInstruction
