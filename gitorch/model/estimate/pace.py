"""The time left of a task that reports its progress, from its own pace.

The newest part of the work counts most. A pause, such as that of a machine that was asleep, is not
expected again: an interval that took many times longer than the others counts for the upper end of
the range only. If there are several such intervals, they are part of the work, as evaluations are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gitorch.model.estimate.estimate import Estimate
from gitorch.model.text.quantities import LONGEST

SOURCE = "from its own progress"
# A straight line through the work done, from one report: four tasks out of five take at most this
# many times the time.
_UNEVEN = 1.25
# The uncertainty of a pace that was measured exactly, for as much work as was done.
_DRIFT = 0.08
# The work is weighted by exp(-age / this share of the work done).
_RECENT = 0.25
_PAUSE = 6.0  # times the usual pace
_RECURRING = 3  # this many pauses are part of the work
_FEW = 8  # intervals in which a pause is not told apart from work
_SIGNIFICANT = 2.0  # standard errors
_EIGHTY = 0.8416  # the standard normal quantile of 0.8


class ProgressPoint(NamedTuple):
    """The work that was done at a time, in seconds since the start of the attempt."""

    seconds: float
    done: float


class _Interval(NamedTuple):
    work: float
    pace: float  # seconds for a unit of work
    age: float  # work that was done after the middle of the interval


def from_progress(
    points: Sequence[ProgressPoint], total: float, elapsed_s: float
) -> Estimate | None:
    """Estimate the time left of a task that has done the work at `points`, the oldest first.

    Return None if no work is done yet, or if it would take more than ten years.
    """
    known = [ProgressPoint(0.0, 0.0), *_since_restart(points)]
    done = known[-1].done
    if done <= 0 or total <= 0:
        return None
    work_left = max(total - done, 0.0)
    intervals = _intervals(known)
    if len(intervals) < 2:
        left_s = elapsed_s * work_left / done
        estimate = Estimate(left_s, left_s * _UNEVEN, SOURCE)
    else:
        estimate = _from_intervals(intervals, work_left, done)
        # Part of the next unit of work is done.
        since_s = max(0.0, elapsed_s - known[-1].seconds)
        begun_s = min(since_s, intervals[-1].pace * intervals[-1].work)
        estimate = Estimate(
            max(0.0, estimate.p50 - begun_s),
            max(0.0, estimate.p80 - begun_s),
            SOURCE,
        )
    return estimate if estimate.p80 <= LONGEST else None


def _since_restart(points: Sequence[ProgressPoint]) -> Sequence[ProgressPoint]:
    """Return the points after the last one at which less was done than before it."""
    start = 0
    for index in range(1, len(points)):
        if points[index].done < points[index - 1].done:
            start = index
    return points[start:]


def _intervals(points: Sequence[ProgressPoint]) -> list[_Interval]:
    last = points[-1].done
    intervals = []
    before = points[0]
    for point in points[1:]:
        work = point.done - before.done
        if work > 0 and point.seconds > before.seconds:
            pace = (point.seconds - before.seconds) / work
            age = last - point.done + work / 2
            intervals.append(_Interval(work, pace, age))
            before = point
    return intervals


def _from_intervals(
    intervals: Sequence[_Interval], work_left: float, done: float
) -> Estimate:
    usual = sorted(interval.pace for interval in intervals)[len(intervals) // 2]
    regular = [each for each in intervals if each.pace <= _PAUSE * usual]
    pauses = len(intervals) - len(regular)
    if pauses >= _RECURRING:
        regular = list(intervals)
    weights = _weights(regular, done)
    pace = _mean(regular, weights)
    variance = 0.0
    for interval, weight in zip(regular, weights, strict=True):
        variance += weight * (interval.pace - pace) ** 2
    variance /= sum(weights) * pace**2
    count = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    parts_left = max(1.0, work_left * len(intervals) / done)
    drift = _DRIFT**2 * max(1.0, work_left / done)
    spread = math.sqrt(variance / count + variance / parts_left + drift)
    upper = pace * (1 + _EIGHTY * spread)
    if pauses > 1 or len(intervals) < _FEW:
        upper = max(upper, _mean(intervals, _weights(intervals, done)))
    slowing = _slowing(regular, pace, math.sqrt(variance / count) * pace)
    slowing *= 1 + 2 * min(1.0, work_left / done)
    return Estimate(work_left * (pace + slowing / 2), work_left * (upper + slowing))


def _slowing(intervals: Sequence[_Interval], pace: float, error: float) -> float:
    """Return by how much the newest pace is slower than the whole, 0 if that may be chance."""
    work = [interval.work for interval in intervals]
    slowing = pace - _mean(intervals, work)
    return slowing if slowing > _SIGNIFICANT * error else 0.0


def _weights(intervals: Sequence[_Interval], done: float) -> list[float]:
    weights = []
    for interval in intervals:
        recency = math.exp(-interval.age / (_RECENT * done))
        weights.append(interval.work * recency)
    return weights


def _mean(intervals: Sequence[_Interval], weights: Sequence[float]) -> float:
    total = 0.0
    for interval, weight in zip(intervals, weights, strict=True):
        total += interval.pace * weight
    return total / sum(weights)
