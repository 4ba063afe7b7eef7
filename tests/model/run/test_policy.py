"""What follows the end of an attempt."""

from __future__ import annotations

import pytest

from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Interrupted,
    Killed,
    Lost,
    Outcome,
    Signalled,
    Succeeded,
    TimedOut,
)
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.model.run.policy import Next, after
from gitorch.model.run.spec import Retries
from gitorch.model.run.status import Status

TWICE = Retries(
    max=2, on=(OutcomeKind.TIMEOUT, OutcomeKind.EXIT_CODE), backoff_s=30.0
)


def follow(
    outcome: Outcome,
    policy: Retries | None = None,
    *,
    retries: int = 0,
    losses: int = 0,
) -> Next:
    return after(outcome, policy, retries=retries, losses=losses, lost_limit=3)


def test_a_success_resets_the_counts() -> None:
    follows = follow(Succeeded(), TWICE, retries=1, losses=2)
    assert (follows.status, follows.retries, follows.losses) == (
        Status.COMPLETE,
        0,
        0,
    )


def test_without_a_policy_a_failure_is_an_error() -> None:
    assert follow(ExitCode(exit_code=1)).status is Status.ERROR


def test_a_policy_retries_up_to_its_maximum_after_the_kinds_that_it_names() -> None:
    first = follow(ExitCode(exit_code=1), TWICE)
    assert (first.status, first.retries, first.backoff_s) == (
        Status.WAITING,
        1,
        30.0,
    )
    assert follow(TimedOut(), TWICE, retries=1).status is Status.WAITING
    assert follow(ExitCode(exit_code=1), TWICE, retries=2).status is Status.ERROR
    assert follow(Signalled(signal=9), TWICE).status is Status.ERROR


@pytest.mark.parametrize("outcome", [CouldNotStart(), Killed()])
def test_an_outcome_that_cannot_be_retried_is_an_error(outcome: Outcome) -> None:
    assert follow(outcome, TWICE).status is Status.ERROR


def test_an_interrupted_attempt_changes_no_count() -> None:
    follows = follow(Interrupted(), TWICE, retries=1, losses=1)
    assert (follows.status, follows.retries, follows.losses) == (
        Status.WAITING,
        1,
        1,
    )


def test_a_task_that_is_always_lost_does_not_block_the_queue() -> None:
    assert [follow(Lost(), losses=losses).status for losses in range(3)] == [
        Status.WAITING,
        Status.WAITING,
        Status.ERROR,
    ]
    assert "3 times" in (follow(Lost(), losses=2).outcome.message or "")
