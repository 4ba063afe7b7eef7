"""The rank correlation of a parameter and a metric (Spearman's rho)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# With fewer pairs, a correlation of 1 or -1 is likely by chance alone.
FEWEST = 4


class RankCorrelation(NamedTuple):
    """The correlation, from -1 to 1, and the number of pairs that it is computed from.

    The correlation is None if there are too few pairs, or if one side is the same in all of them.
    """

    rho: float | None
    pairs: int


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> RankCorrelation:
    """Return the correlation of the ranks. Equal values share the mean of their ranks."""
    count = len(pairs)
    if count < FEWEST:
        return RankCorrelation(None, count)
    first = _ranks([pair[0] for pair in pairs])
    second = _ranks([pair[1] for pair in pairs])
    mean = (count + 1) / 2
    products = squares = other_squares = 0.0
    for a, b in zip(first, second, strict=True):
        products += (a - mean) * (b - mean)
        squares += (a - mean) ** 2
        other_squares += (b - mean) ** 2
    if not squares or not other_squares:
        return RankCorrelation(None, count)
    return RankCorrelation(products / math.sqrt(squares * other_squares), count)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while (
            end + 1 < len(order) and values[order[end + 1]] == values[order[start]]
        ):
            end += 1
        shared = (start + end) / 2 + 1
        for place in range(start, end + 1):
            ranks[order[place]] = shared
        start = end + 1
    return ranks
