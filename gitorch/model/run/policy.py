"""What follows the end of an attempt: the task is complete, in error, or tried again by itself."""

from __future__ import annotations

from msgspec import Struct

from gitorch.model.run.outcome import Kind, Outcome
from gitorch.model.run.spec import Retries
from gitorch.model.run.status import Status


class Next(Struct, frozen=True, kw_only=True):
    """The task's status; the outcome, which may say more now; what has been counted; how long to wait, in seconds."""

    status: Status
    outcome: Outcome
    retries: int = 0
    losses: int = 0
    backoff_s: float = 0.0


def after(
    outcome: Outcome, policy: Retries | None, *, retries: int, losses: int, lost_limit: int
) -> Next:
    """`retries` are the automatic ones so far, `losses` the attempts lost in a row before this one.

    Interrupted attempts are given back and count for nothing; lost ones are, until `lost_limit` in a row.
    """
    match outcome.kind:
        case Kind.SUCCEEDED:
            return Next(status=Status.COMPLETE, outcome=outcome)
        case Kind.INTERRUPTED:
            return Next(status=Status.WAITING, outcome=outcome, retries=retries, losses=losses)
        case Kind.LOST if losses + 1 < lost_limit:
            return Next(status=Status.WAITING, outcome=outcome, retries=retries, losses=losses + 1)
        case Kind.LOST:
            told = f"lost {losses + 1} times in a row, so it may be what ends its workers"
            return Next(status=Status.ERROR, outcome=outcome._replace(message=told))
        case kind if policy and kind in policy.on and retries < policy.max:
            return Next(
                status=Status.WAITING,
                outcome=outcome,
                retries=retries + 1,
                backoff_s=policy.backoff_s,
            )
        case _:
            return Next(status=Status.ERROR, outcome=outcome)
