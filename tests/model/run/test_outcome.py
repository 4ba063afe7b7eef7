"""Outcomes: their JSON, their words, and the classes for all kinds."""

from __future__ import annotations

from typing import Any, get_args

import pytest

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
    read_outcome,
    without_log,
)
from gitorch.model.run.outcome_kind import OutcomeKind

# Each outcome with its JSON, whose keys have this order on the results branch, and its words.
OUTCOMES: list[tuple[Outcome, dict[str, Any], str]] = [
    (Succeeded(), {"kind": "succeeded"}, "succeeded"),
    (
        ExitCode(exit_code=1, message="KeyError: 'rate'"),
        {"kind": "exit-code", "exit_code": 1, "message": "KeyError: 'rate'"},
        "exit code 1: KeyError: 'rate'",
    ),
    (Signalled(signal=9), {"kind": "signal", "signal": 9}, "killed by signal 9"),
    (
        TimedOut(message="after 1 s"),
        {"kind": "timeout", "message": "after 1 s"},
        "timed out: after 1 s",
    ),
    (OutOfMemory(), {"kind": "out-of-memory"}, "out of memory"),
    (
        CouldNotStart(message="no such program"),
        {"kind": "could-not-start", "message": "no such program"},
        "could not start: no such program",
    ),
    (Lost(), {"kind": "lost"}, "lost"),
    (Interrupted(), {"kind": "interrupted"}, "interrupted"),
    (Killed(), {"kind": "killed"}, "killed"),
]


@pytest.mark.parametrize(("outcome", "written", "words"), OUTCOMES)
def test_an_outcome_is_written_read_and_said(
    outcome: Outcome, written: dict[str, Any], words: str
) -> None:
    assert list(outcome.to_json().items()) == list(written.items())
    assert read_outcome(written) == outcome
    assert str(outcome) == words


def test_a_program_whose_log_has_a_gap_has_not_succeeded() -> None:
    reason = "a part of its output is not in the log: No space left on device"
    full = "No space left on device"
    assert str(without_log(Succeeded(), full)) == f"exit code 0: {reason}"
    failed = ExitCode(exit_code=2, message="KeyError: 'rate'")
    assert str(without_log(failed, full)) == f"{failed}; {reason}"
    assert without_log(Killed(), full) == Killed(message=reason)


def test_each_kind_has_a_class() -> None:
    kinds = [outcome.kind for outcome, _, _ in OUTCOMES]
    assert kinds == list(OutcomeKind)
    assert [type(outcome) for outcome, _, _ in OUTCOMES] == list(get_args(Outcome))


@pytest.mark.parametrize(
    "written", [{"kind": "bored"}, {"kind": "exit-code"}, {}, "lost"]
)
def test_what_is_not_an_outcome_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"kind|exit_code|object"):
        read_outcome(written)
