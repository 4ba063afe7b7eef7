"""The rule for the end of an attempt: the task is complete, in error, or tried again."""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Killed,
    Lost,
    Outcome,
    OutOfMemory,
    Signalled,
    Succeeded,
    TimedOut,
)
from gitorch.model.run.spec import Retries
from gitorch.model.run.status import Status


class Next(Struct, frozen=True, kw_only=True):
    """The consequences of an attempt for its task.

    `status` is the new status of the task. `outcome` is the outcome of the attempt, possibly with a
    more exact message. `retries` and `losses` are the new counts. `backoff_s` is the number of
    seconds until the next attempt.
    """

    status: Status
    outcome: Outcome
    retries: int = 0
    losses: int = 0
    backoff_s: float = 0.0


_SHELL_SIGNALS = 128


def lasts(outcome: Outcome) -> bool:
    """Return True if the same program would probably end in the same way again.

    A shell reports a signal as an exit code above 128.
    """
    return isinstance(outcome, ExitCode) and outcome.exit_code <= _SHELL_SIGNALS


def after(
    outcome: Outcome,
    policy: Retries | None,
    *,
    retries: int,
    losses: int,
    lost_limit: int,
) -> Next:
    """Return the consequences of an attempt with this outcome.

    `retries` is the number of automatic retries so far. `losses` is the number of attempts in a row
    that were lost before this one. After an interrupted attempt the task is tried again, and no
    count changes. After a lost attempt the task is tried again, until `lost_limit` attempts in a
    row are lost.
    """
    match outcome:
        case Succeeded():
            return Next(status=Status.COMPLETE, outcome=outcome)
        case Interrupted():
            return Next(
                status=Status.WAITING,
                outcome=outcome,
                retries=retries,
                losses=losses,
            )
        case Lost():
            losses += 1
            if losses < lost_limit:
                return Next(
                    status=Status.WAITING,
                    outcome=outcome,
                    retries=retries,
                    losses=losses,
                )
            message = (
                f"lost {losses} times in a row, "
                "so the task itself may be what ends its workers"
            )
            return Next(status=Status.ERROR, outcome=Lost(message=message))
        case ExitCode() | Signalled() | TimedOut() | OutOfMemory():
            if policy and outcome.kind in policy.on and retries < policy.max:
                return Next(
                    status=Status.WAITING,
                    outcome=outcome,
                    retries=retries + 1,
                    backoff_s=policy.backoff_s,
                )
            return Next(status=Status.ERROR, outcome=outcome)
        case CouldNotStart() | Killed():
            return Next(status=Status.ERROR, outcome=outcome)
        case unknown:
            assert_never(unknown)
