"""What follows an attempt: its task is complete, in error, or tried again automatically."""

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
    """What follows an attempt.

    `status` is that of the task. `outcome` may have a more exact message than before. `retries` and
    `losses` are the new counts, `backoff_s` the seconds until the next attempt.
    """

    status: Status
    outcome: Outcome
    retries: int = 0
    losses: int = 0
    backoff_s: float = 0.0


def after(
    outcome: Outcome,
    policy: Retries | None,
    *,
    retries: int,
    losses: int,
    lost_limit: int,
) -> Next:
    """Return what follows an attempt with this outcome.

    `retries` counts the automatic retries so far, `losses` the attempts that were lost in a row
    before this one. An interrupted attempt is repeated and changes no count. A lost attempt is
    repeated up to `lost_limit` in a row.
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
