"""Metrics from results, events and files; estimates from progress and durations."""

from __future__ import annotations

import math

import pytest

from gitorch.model.estimate.estimate import Estimate
from gitorch.model.run.estimate import (
    from_durations,
    from_progress,
    in_turn,
    together,
)
from gitorch.model.run.metrics import (
    last_progress,
    of_events,
    of_file,
    of_result,
)


def test_the_top_level_numbers_of_a_result() -> None:
    assert of_result(
        {"a": 1, "b": 0.5, "c": True, "d": "1", "e": {"f": 1}, "g": math.nan},
        "train",
    ) == {
        "a": 1,
        "b": 0.5,
        "g": None,
    }
    assert of_result([1], "train") == {}


def test_a_result_that_is_a_number_has_the_name_of_the_task() -> None:
    assert of_result(0.5, "train") == {"train": 0.5}
    assert of_result(math.inf, "train") == {"train": None}
    assert of_result(True, "train") == {}


def test_nested_numbers_of_a_file_have_dotted_names() -> None:
    assert of_file({"test": {"f1": 0.5, "by": [1]}, "n": 10**400}) == {
        "test.f1": 0.5,
        "n": None,
    }


def test_the_last_value_of_an_event_counts_and_nonsense_is_ignored() -> None:
    events = [
        {"metric": "loss", "value": 2},
        "text",
        {"metric": 3},
        {"metric": "loss", "value": 1},
        {"metric": "x", "value": "y"},
    ]
    assert of_events(events).metrics == {"loss": 1}


@pytest.mark.parametrize(
    ("events", "progress"),
    [
        ([{"progress": [1, 4]}, {"progress": [2, 4]}], (2, 4)),
        (
            [
                {"progress": [1, 4]},
                {"progress": [1, 0]},
                {"progress": "half"},
                {"progress": [1]},
            ],
            (1, 4),
        ),
        ([], None),
    ],
)
def test_the_newest_valid_progress(
    events: list[object], progress: tuple[float, float] | None
) -> None:
    assert last_progress(events) == progress


def test_an_estimate_from_progress() -> None:
    assert from_progress(1, 4, 10.0) == Estimate(30.0, 37.5)
    assert from_progress(0, 4, 10.0) is None


def test_an_estimate_from_earlier_durations() -> None:
    assert from_durations([10.0, 20.0, 30.0]) == Estimate(20.0, 26.0)
    assert from_durations([10.0, 20.0, 30.0], elapsed_s=15.0) == Estimate(
        10.0, 13.0
    )
    assert from_durations([10.0], elapsed_s=15.0) is None


def test_several_estimates_together_are_no_less_than_the_longest() -> None:
    assert together([Estimate(10, 20), Estimate(1, 2)], 2) == Estimate(10, 20)
    assert together([Estimate(10, 20), Estimate(10, 20)], 1) == Estimate(20, 40)
    assert together([], 2) is None


def test_a_waiting_run_is_over_after_those_before_it() -> None:
    running = [Estimate(4, 5), Estimate(10, 12)]
    waiting = [Estimate(2, 3), Estimate(2, 3), Estimate(20, 30)]
    assert in_turn(running, waiting, 2) == [
        Estimate(6, 8),
        Estimate(8, 11),
        Estimate(28, 41),
    ]
    assert in_turn([], waiting[:1], 2) == [Estimate(2, 3)]


def test_behind_an_unknown_run_all_is_unknown() -> None:
    known = Estimate(2, 3)
    assert in_turn([None], [known], 1) == [None]
    assert in_turn([known], [known, None, known], 1) == [Estimate(4, 6), None, None]
