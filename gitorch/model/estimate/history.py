"""The durations of earlier runs of the same task, and the influence of params on them.

The logarithm of a duration is modelled as a sum: a mean, a power of each numeric parameter and a
shift for each value of a parameter that are seen to matter, and a shift for exactly the same
params. What remains is the distribution of the task. It is the same for all params, so that the
durations of thousands of waiting runs are read from one fit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.model.estimate.distribution import Distribution
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.text.phrases import counted

MOST_EARLIER = 300  # the newest; durations of long ago say little
# The newest duration counts twice as much as the one this many places before it.
_HALF_LIFE = 12
_ENOUGH_ON_ONE_MACHINE = 3
_LEAST_S = 1e-3
# The standard deviation of the logarithm that is assumed before any two durations were seen, and
# the number of durations that the assumption counts for.
_ASSUMED = 0.3
_ASSUMED_COUNT = 1.5
_LEAST_WIDTH = 0.02
# A shift for a value is this many durations nearer to none.
_SHRINKAGE = 0.5
_MOST_EFFECTS = 3
_LEAST_TREND = 8  # durations in which a trend is looked for
_DOUBT = 0.3  # of the effect beyond the values that were seen
_EVIDENCE = 12.0  # the square of the t-value of a power that counts
_TIED = (
    0.03  # shares of the variance that differ less do not tell two parameters apart
)
_EXPLAINED = 0.3  # the least share of the variance that is explained by what counts


class EarlierDuration(NamedTuple):
    """The duration of a task in an earlier run. `params` are flat, by dotted keys."""

    seconds: float
    params: Mapping[str, Any]
    host: str | None = None


class Prediction(NamedTuple):
    """The duration of a task: `scale` times a value of the distribution.

    `source` says what it is based on, in words. `error` is the standard deviation of the logarithm
    of the error that all tasks of this kind have in common. Each later task may take longer than
    the one before it by the factor exp(`growth`).
    """

    scale: float
    distribution: Distribution
    source: str
    error: float
    growth: float = 0.0

    @property
    def mean_s(self) -> float:
        return self.scale * self.distribution.mean

    @property
    def estimate(self) -> Estimate:
        p50, p80, _ = self.distribution.estimate
        return Estimate(p50 * self.scale, p80 * self.scale, self.source)

    def quantile(self, share: float) -> float:
        return self.scale * self.distribution.quantile(share)

    def given(self, elapsed_s: float) -> Prediction | None:
        """Return what is left after `elapsed_s` seconds. None: earlier runs never took so long."""
        left = self.distribution.given(elapsed_s / self.scale)
        if left is None:
            return None
        return self._replace(distribution=left)


class History:
    """The fit to the earlier durations of one kind of task."""

    def __init__(
        self, earlier: Sequence[EarlierDuration], *, source: str | None = None
    ) -> None:
        """`earlier` is not empty, the newest first. `source` is used instead of their number."""
        self._count = len(earlier)
        self._source = source or f"from {counted(len(earlier), 'earlier run')}"
        weights = [0.5 ** (age / _HALF_LIFE) for age in range(len(earlier))]
        self._effects: list[_Effect] = []
        logarithms = [math.log(max(each.seconds, _LEAST_S)) for each in earlier]
        self._mean = _average(logarithms, weights)
        left = [logarithm - self._mean for logarithm in logarithms]
        self._fit_effects(earlier, left, weights)
        slope = _trend(left, weights)
        self._growth = max(0.0, -slope)
        for age in range(len(left)):
            left[age] -= slope * (age + 1)
        self._fit_same(earlier, left, weights)

    def _fit_effects(
        self,
        earlier: Sequence[EarlierDuration],
        left: list[float],
        weights: Sequence[float],
    ) -> None:
        """Fit the effects of the parameters that matter most, and take them out of `left`."""
        columns = _columns(earlier)
        while len(self._effects) < _MOST_EFFECTS:
            effect = _strongest(columns, left, weights)
            if effect is None:
                return
            self._effects.append(effect)
            for index, value in enumerate(columns[effect.name]):
                left[index] -= effect.at(value)

    def _fit_same(
        self,
        earlier: Sequence[EarlierDuration],
        left: Sequence[float],
        weights: Sequence[float],
    ) -> None:
        """Fit the shifts for exactly the same params, and the distribution of what remains."""
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for index, each in enumerate(earlier):
            groups[_key(each.params)].append(index)
        self._same: dict[Hashable, float] = {}
        remaining = list(left)
        for key, group in groups.items():
            sums = _sums(group, left, weights)
            self._same[key] = sums[0] / (sums[1] + _SHRINKAGE)
            for index in group:
                # What the others of the group say about it: its own part would be perfect.
                total = sums[0] - weights[index] * left[index]
                weight = sums[1] - weights[index]
                remaining[index] = left[index] - total / (weight + _SHRINKAGE)
        if len(groups) == 1:
            self._same = {}
            remaining = list(left)
        self._distribution, self._error = _spread(remaining, weights)

    @property
    def uses_params(self) -> bool:
        """Return True if the durations differ by the params."""
        return bool(self._effects or self._same)

    def predict(self, params: Mapping[str, Any]) -> Prediction:
        """Return the duration of the task in a run with these params."""
        logarithm = self._mean + self._same.get(_key(params), 0.0)
        error = self._error
        for effect in self._effects:
            value = params.get(effect.name)
            logarithm += effect.at(value)
            error += effect.doubt(value)
        return Prediction(
            scale=math.exp(logarithm),
            distribution=self._distribution,
            source=self._source,
            error=error,
            growth=self._growth,
        )


def _trend(left: Sequence[float], weights: Sequence[float]) -> float:
    """Return by how much the logarithms change with the age of a duration, 0 if by chance."""
    if len(left) < _LEAST_TREND:
        return 0.0
    line = _line(range(len(left)), left, weights)
    if line.evidence < _EVIDENCE:
        return 0.0
    # The less evidence there is, the nearer to none.
    return line.slope * (1 - _EVIDENCE / line.evidence / 4)


class _Line(Struct, frozen=True):
    """A weighted straight line, its share of the variance, and the square of its t-value."""

    slope: float
    centre: float
    explained: float
    evidence: float


def _line(
    across: Sequence[float], values: Sequence[float], weights: Sequence[float]
) -> _Line:
    centre = _average(across, weights)
    level = _average(values, weights)
    both = along = around = 0.0
    for number, value, weight in zip(across, values, weights, strict=True):
        both += weight * (number - centre) * (value - level)
        along += weight * (number - centre) ** 2
        around += weight * (value - level) ** 2
    if along <= 0 or around <= 0:
        return _Line(0.0, centre, 0.0, 0.0)
    explained = both**2 / (along * around)
    count = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    evidence = explained * max(0.0, count - 2) / max(1e-9, 1 - explained)
    return _Line(both / along, centre, explained, evidence)


def on_machine(
    earlier: Sequence[EarlierDuration], host: str
) -> Sequence[EarlierDuration]:
    """Return the durations that were measured on a machine, if they are enough; otherwise all."""
    here = [each for each in earlier if each.host == host]
    return here if len(here) >= _ENOUGH_ON_ONE_MACHINE else earlier


def _columns(earlier: Sequence[EarlierDuration]) -> dict[str, list[Any]]:
    """Return the values of each parameter, by its name."""
    names: dict[str, None] = {}
    for each in earlier:
        names.update(dict.fromkeys(each.params))
    columns = {}
    for name in names:
        columns[name] = [each.params.get(name) for each in earlier]
    return columns


class _Effect(Struct, frozen=True):
    """The change of the logarithm by a parameter: a power of a number, or a shift per value."""

    name: str
    explained: float  # the share of the variance
    slope: float = 0.0
    centre: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0
    shifts: Mapping[Hashable, float] = {}

    def at(self, value: Any) -> float:
        if self.shifts:
            return self.shifts.get(_hashable(value), 0.0)
        number = _logarithm(value)
        if number is None:
            return 0.0
        # Beyond the values that were seen, the power is followed for as far as they reach.
        reach = self.highest - self.lowest
        number = min(max(number, self.lowest - reach), self.highest + reach)
        return self.slope * (number - self.centre)

    def doubt(self, value: Any) -> float:
        """Return how much less certain the effect is, of a value beyond those that were seen."""
        number = _logarithm(value)
        if self.shifts or number is None:
            return 0.0
        beyond = max(0.0, self.lowest - number, number - self.highest)
        return _DOUBT * abs(self.slope) * beyond


def _strongest(
    columns: Mapping[str, Sequence[Any]],
    left: Sequence[float],
    weights: Sequence[float],
) -> _Effect | None:
    """Return the parameter that explains the most of the remaining spread, or None.

    If several parameters explain about the same, such as those that have always changed together,
    the most plausible one is taken.
    """
    if _average([value * value for value in left], weights) < _LEAST_WIDTH**2:
        return None
    effects = []
    for name, values in columns.items():
        for effect in (
            _power(name, values, left, weights),
            _shifts(name, values, left),
        ):
            if effect is not None:
                effects.append(effect)
    if not effects:
        return None
    most = max(effect.explained for effect in effects)
    tied = [effect for effect in effects if effect.explained >= most - _TIED]
    return min(tied, key=_implausibility)


def _implausibility(effect: _Effect) -> float:
    """Return how unusual an effect is. Most durations are proportional to a number, if to any."""
    if effect.shifts:
        return 1.0
    return abs(effect.slope - 1)


def _power(
    name: str,
    values: Sequence[Any],
    left: Sequence[float],
    weights: Sequence[float],
) -> _Effect | None:
    """Return the effect of a positive number that a straight line in logarithms explains."""
    numbers = []
    for value in values:
        number = _logarithm(value)
        if number is None:
            return None
        numbers.append(number)
    count = len(numbers)
    if len(set(numbers)) < 2 or count < 4:
        return None
    line = _line(numbers, left, weights)
    if line.explained < _EXPLAINED or line.evidence < _EVIDENCE:
        return None
    return _Effect(
        name,
        line.explained,
        slope=line.slope,
        centre=line.centre,
        lowest=min(numbers),
        highest=max(numbers),
    )


def _shifts(
    name: str, values: Sequence[Any], left: Sequence[float]
) -> _Effect | None:
    """Return the effect of the values of a parameter, if they recur and explain enough."""
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for value, logarithm in zip(values, left, strict=True):
        groups[_hashable(value)].append(logarithm)
    count, levels = len(left), len(groups)
    if not 2 <= levels <= count / 2:
        return None
    mean = sum(left) / count
    total = sum((value - mean) ** 2 for value in left)
    within = 0.0
    shifts = {}
    for key, group in groups.items():
        level = sum(group) / len(group)
        within += sum((value - level) ** 2 for value in group)
        shifts[key] = sum(group) / (len(group) + _SHRINKAGE)
    if total <= 0:
        return None
    explained = 1 - within / total * (count - 1) / max(1, count - levels)
    if (
        explained < _EXPLAINED
        or _f_value(within, total, count, levels) < _EVIDENCE / 3
    ):
        return None
    return _Effect(name, explained, shifts=shifts)


def _f_value(within: float, total: float, count: int, levels: int) -> float:
    """Return the F-value of a one-way analysis of variance."""
    between = (total - within) / (levels - 1)
    return between / max(1e-12, within / max(1, count - levels))


def _spread(
    left: Sequence[float], weights: Sequence[float]
) -> tuple[Distribution, float]:
    """Return the distribution of what no parameter explains, and the error of its mean."""
    total = sum(weights)
    count = total**2 / sum(weight**2 for weight in weights)
    level = _average(left, weights)
    variance = _average([(value - level) ** 2 for value in left], weights)
    known = max(0.0, count - 1)
    variance = variance * count / max(1.0, known)
    variance = (variance * known + _ASSUMED**2 * _ASSUMED_COUNT) / (
        known + _ASSUMED_COUNT
    )
    deviation = math.sqrt(variance)
    # Silverman's rule for the width of a kernel. It is whole for a single duration.
    width = max(_LEAST_WIDTH, 0.9 * deviation * count**-0.2)
    if count < 1.5:
        width = max(width, _ASSUMED)
    error = deviation / math.sqrt(count) + _LEAST_WIDTH
    return Distribution.around(left, weights, width), error


def _average(values: Sequence[float], weights: Sequence[float]) -> float:
    total = 0.0
    for value, weight in zip(values, weights, strict=True):
        total += value * weight
    return total / sum(weights)


def _sums(
    indexes: Sequence[int], values: Sequence[float], weights: Sequence[float]
) -> tuple[float, float]:
    """Return the sum of the weighted values and the sum of the weights."""
    total = weight = 0.0
    for index in indexes:
        total += weights[index] * values[index]
        weight += weights[index]
    return total, weight


def _key(params: Mapping[str, Any]) -> Hashable:
    return frozenset((name, _hashable(value)) for name, value in params.items())


def _hashable(value: Any) -> Hashable:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return repr(value)


def _logarithm(value: Any) -> float | None:
    """Return the logarithm of a positive number, None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return math.log(value) if 0 < value < math.inf else None
    except OverflowError:
        return None
