"""Phrases for numbers of things and for lists of names."""

from __future__ import annotations

from gitorch.model.text.phrases import counted, one_of, some


def test_only_one_is_singular() -> None:
    assert [counted(count, "run") for count in (0, 1, 2)] == [
        "0 runs",
        "1 run",
        "2 runs",
    ]
    assert [counted(count, "directory", "directories") for count in (1, 2)] == [
        "1 directory",
        "2 directories",
    ]


def test_the_names_that_are_left_out_are_counted() -> None:
    assert some(["a", "b"], 2) == "a, b"
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
    assert some(["two\nlines"], 2) == "two\\nlines"


def test_alternatives_are_joined_by_commas_and_or() -> None:
    assert one_of(["HOLD"]) == "HOLD"
    assert one_of(["WAITING", "RUNNING", "HOLD"]) == "WAITING, RUNNING or HOLD"
