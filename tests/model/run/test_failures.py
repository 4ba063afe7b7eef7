"""Similar failures are gathered by their causes."""

from __future__ import annotations

import pytest

from gitorch.model.run.failures import (
    Failure,
    Gathering,
    common_params,
    having,
    same_reason,
)
from gitorch.model.run.outcome import ExitCode, Outcome, Signalled, TimedOut

SIMILAR = {
    "numbers": (
        "ValueError: loss is nan at step 17",
        "ValueError: loss is nan at step 1.5e3",
    ),
    "the directory of the run": (
        "no such file: '/w/3f2a91bc0d12/tree/data/x.csv'",
        "no such file: '/w/ba9876543210/tree/data/x.csv'",
    ),
    "another machine": (
        r"cannot open C:\Users\ada\x.csv",
        r"cannot open D:\scratch\x.csv",
    ),
    "a temporary directory": (
        "cannot remove tmpab3k9x2_",
        "cannot remove tmpq_ywhgop",
    ),
    "an address": ("<Model at 0x7ff3ab01>", "<Model at 0x55d0>"),
    "an id": (
        "job 6f1c7f5e-1b9e-4f0a-9f4b-0a1b2c3d4e5f is gone",
        "job 0a1b2c3d-1b9e-4f0a-9f4b-6f1c7f5e0000 is gone",
    ),
    "shapes": (
        "mat1 and mat2 shapes cannot be multiplied (64x128 and 64x10)",
        "mat1 and mat2 shapes cannot be multiplied (32x128x2 and 10)",
    ),
    "the failure of a cached task": (
        "KeyError: 'lr'",
        "as in run 3f2a91bc0d12: KeyError: 'lr'",
    ),
    "spaces": ("out  of memory", "out of memory "),
}
DIFFERENT = {
    "the name": ("KeyError: 'lr'", "KeyError: 'depth'"),
    "the file": ("no such file: /data/a.csv", "no such file: /data/b.csv"),
    "the kind": ("ValueError: 3", "TypeError: 3"),
}


@pytest.mark.parametrize("name", SIMILAR)
def test_what_differs_from_run_to_run_is_not_compared(name: str) -> None:
    one, other = SIMILAR[name]
    assert same_reason(one) == same_reason(other)


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_reason_is_another_cause(name: str) -> None:
    one, other = DIFFERENT[name]
    assert same_reason(one) != same_reason(other)


@pytest.mark.parametrize("letter", ["1", "a-", "_", "/", "1.", "a1/"])
def test_a_long_reason_takes_no_time(letter: str) -> None:
    same_reason(letter * 1_000_000)


def failure(
    run_id: str,
    outcome: Outcome,
    location: str | None = None,
    *,
    task: str = "train",
) -> Failure:
    return Failure(
        run_id=run_id, label=run_id, task=task, outcome=outcome, location=location
    )


def test_the_most_frequent_cause_is_first() -> None:
    gathering = Gathering(
        [
            failure("a", TimedOut(message="after 3600 s")),
            failure("b", ExitCode(exit_code=1, message="step 1"), "train.py:5"),
            failure("c", ExitCode(exit_code=1, message="step 2"), "train.py:5"),
            failure("d", ExitCode(exit_code=1, message="step 3"), "train.py:6"),
            failure("e", ExitCode(exit_code=2, message="step 3"), "train.py:6"),
            failure("f", Signalled(signal=9)),
            failure("g", Signalled(signal=11)),
            failure("h", Signalled(signal=11), task="report"),
            failure("i", TimedOut(message="after 7200 s")),
        ]
    )
    causes = [similar.run_ids for similar in gathering.gathered()]
    assert causes == [
        ("a", "i"),
        ("b", "c"),
        ("d",),
        ("e",),
        ("f",),
        ("g",),
        ("h",),
    ]


def test_a_failure_without_a_place_agrees_with_every_place() -> None:
    gathering = Gathering(
        [
            failure("a", ExitCode(exit_code=1, message="as in run b12: KeyError")),
            failure("b", ExitCode(exit_code=1, message="KeyError"), "train.py:5"),
            failure("c", ExitCode(exit_code=1, message="KeyError"), "train.py:6"),
        ]
    )
    [first, second] = gathering.gathered()
    assert (first.run_ids, first.location) == (("b", "a"), "train.py:5"), (
        "the run in which it happened is first"
    )
    assert second.run_ids == ("c",)


def test_a_run_in_which_two_tasks_failed_counts_once_for_each_cause() -> None:
    gathering = Gathering(
        [failure("a", TimedOut()), failure("a", TimedOut(), task="test")]
    )
    assert [similar.run_ids for similar in gathering.gathered()] == [("a",), ("a",)]


def test_the_common_values_are_those_that_set_the_failed_runs_apart() -> None:
    failed = [
        {"lr": 1.0, "depth": 5, "seed": 1, "width": 8, "extra": None},
        {"lr": 1.0, "depth": 5, "seed": 2, "width": 8, "extra": None},
    ]
    others = [
        {"lr": 1.0, "depth": 3, "seed": 1, "width": 8},
        {"lr": 1, "depth": 5, "seed": 2, "width": 8},
    ]
    common = common_params(failed, others)
    assert common == {"lr": 1.0, "depth": 5, "extra": None}
    assert having(others, {"lr": 1.0, "depth": 5}) == []
    assert having(others, {"depth": 5}) == [others[1]], "1 and 1.0 are two values"


def test_without_other_runs_nothing_sets_the_failed_runs_apart() -> None:
    assert common_params([{"lr": 1.0}, {"lr": 1.0}], []) == {}
