"""Metrics from results, events and files."""

from __future__ import annotations

import math

from gitorch.model.run.metrics import (
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
