"""A distribution of durations, from which estimates are read."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from gitorch.model.estimate.estimate import Estimate

# The middles of the fifths of a standard normal distribution: each observed duration stands for
# five, since the next one is similar and not equal.
_FIFTHS = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
# A distribution says nothing about a task that has outlived this share of it.
_LEAST_LEFT = 0.005


class Distribution:
    """Durations in seconds, ascending, each with its weight. The weights add up to 1.

    The values are on a logarithmic scale of their own: `scaled` changes the unit at no cost.
    """

    def __init__(self, seconds: Sequence[float], weights: Sequence[float]) -> None:
        self._seconds = seconds
        self._until = list(accumulate(weights))

    @classmethod
    def around(
        cls, logarithms: Sequence[float], weights: Sequence[float], width: float
    ) -> Distribution:
        """Return the distribution of durations whose logarithms were observed.

        `width` is the standard deviation of the logarithm around each observed one.
        """
        total = sum(weights) * len(_FIFTHS)
        values = []
        for logarithm, weight in zip(logarithms, weights, strict=True):
            for fifth in _FIFTHS:
                value = math.exp(logarithm + fifth * width)
                values.append((value, weight / total))
        values.sort()
        seconds, shares = zip(*values, strict=True)
        return cls(seconds, shares)

    def quantile(self, share: float) -> float:
        """Return the duration that this share of all durations does not exceed."""
        # Each duration stands for the middle of its weight; between two, the value is interpolated.
        wanted = share * self._until[-1]
        index = bisect_left(self._middles, wanted)
        if index == 0 or index == len(self._seconds):
            return self._seconds[min(index, len(self._seconds) - 1)]
        low, high = self._middles[index - 1], self._middles[index]
        part = (wanted - low) / (high - low) if high > low else 1.0
        shorter, longer = self._seconds[index - 1], self._seconds[index]
        return shorter + part * (longer - shorter)

    @cached_property
    def _middles(self) -> list[float]:
        before = [0.0, *self._until[:-1]]
        return [
            (low + high) / 2 for low, high in zip(before, self._until, strict=True)
        ]

    @cached_property
    def estimate(self) -> Estimate:
        return Estimate(self.quantile(0.5), self.quantile(0.8))

    @cached_property
    def mean(self) -> float:
        total = before = 0.0
        for seconds, until in zip(self._seconds, self._until, strict=True):
            total += seconds * (until - before)
            before = until
        return total / self._until[-1]

    def given(self, elapsed_s: float) -> Distribution | None:
        """Return the distribution of the time left of a task that has run for `elapsed_s` seconds.

        Return None if hardly any duration is longer than that.
        """
        if elapsed_s <= 0:
            return self
        first = bisect_right(self._seconds, elapsed_s)
        below = self._until[first - 1] if first else 0.0
        if self._until[-1] - below < _LEAST_LEFT * self._until[-1]:
            return None
        left = [seconds - elapsed_s for seconds in self._seconds[first:]]
        shares = []
        for until in self._until[first:]:
            shares.append(until - below)
            below = until
        return Distribution(left, shares)
