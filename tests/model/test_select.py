"""A run is found by whatever people call it."""

from __future__ import annotations

import pytest

from gitorch.errors import NotFound, UsageError
from gitorch.model.select import Named, find

RUNS = [
    Named("abcd11111111", "penguins", "penguins lr=0.1", "2026-01-03"),
    Named("abcd22222222", "penguins", "penguins lr=0.2", "2026-01-02"),
    Named("ef0033333333", "whales", "whales", "2026-01-01"),
]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("abcd22222222", 1),
        ("abcd2", 1),
        ("ef00", 2),
        ("penguins", 0),
        ("whales", 2),
        ("penguins lr=0.2", 1),
        ("@", 0),
        ("@~2", 2),
    ],
)
def test_found(reference: str, found: int) -> None:
    assert find(reference, RUNS) == RUNS[found].id


def test_an_ambiguous_prefix_names_the_candidates() -> None:
    with pytest.raises(UsageError, match="abcd11111111"):
        find("abcd", RUNS)


@pytest.mark.parametrize("reference", ["abc", "ffff", "seals", "@~3", ""])
def test_not_found(reference: str) -> None:
    with pytest.raises(NotFound):
        find(reference, RUNS)
