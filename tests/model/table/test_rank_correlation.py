"""The rank correlation of params and metrics."""

from __future__ import annotations

import pytest

from gitorch.model.table.rank_correlation import rank_correlation


def test_only_the_order_counts() -> None:
    assert rank_correlation([(1, 1), (2, 10), (3, 100), (4, 1e9)]) == (1.0, 4)
    assert rank_correlation([(1, 4), (2, 3), (3, 2), (4, 1)]) == (-1.0, 4)


def test_equal_values_share_a_rank() -> None:
    """The value is that of `a.rank().corr(b.rank())` of pandas."""
    found = rank_correlation([(1, 2), (1, 3), (2, 3), (3, 1), (3, 5), (4, 4)])
    assert found.rho == pytest.approx(0.4030299679679092)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(1, 1), (2, 2), (3, 3)],
        [(1, 1), (1, 2), (1, 3), (1, 4)],
        [(1, 1), (2, 1), (3, 1), (4, 1)],
    ],
)
def test_too_little_shows_nothing(pairs: list[tuple[float, float]]) -> None:
    assert rank_correlation(pairs) == (None, len(pairs))
