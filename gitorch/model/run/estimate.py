"""Estimates of the time left, from the progress that a task reports or earlier durations."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from gitorch.model.estimate.estimate import Estimate
from gitorch.model.text.quantities import LONGEST

# Progress is rarely even. Four runs out of five take at most this many times the time that a
# straight line through the work done predicts.
_UNEVEN = 1.25


def from_progress(done: float, total: float, elapsed_s: float) -> Estimate | None:
    """Estimate by a straight line through the work done. Return None if no work is done yet.

    Return None too if it would take more than ten years, as after a report of nonsense.
    """
    if done <= 0 or total <= 0:
        return None
    work_left = max(total - done, 0.0)
    left_s = elapsed_s * work_left / done
    if left_s * _UNEVEN > LONGEST:
        return None
    return Estimate(left_s, left_s * _UNEVEN)


def from_durations(
    durations: Sequence[float], elapsed_s: float = 0.0
) -> Estimate | None:
    """Estimate from the durations of earlier attempts, in seconds.

    Durations up to `elapsed_s` are ignored. Return None if no duration is left.
    """
    left_s = sorted(
        duration - elapsed_s for duration in durations if duration > elapsed_s
    )
    if not left_s:
        return None
    return Estimate(_quantile(left_s, 0.5), _quantile(left_s, 0.8))


def in_turn(
    running: Sequence[Estimate | None],
    waiting: Sequence[Estimate | None],
    at_once: int,
) -> list[Estimate | None]:
    """Estimate when each of the waiting is over: those before it in the queue come first.

    An entry without an estimate makes all entries behind it unknown.
    """
    known = [estimate for estimate in running if estimate is not None]
    over: list[Estimate | None] = []
    is_known = len(known) == len(running)
    p50s = sorted(estimate.p50 for estimate in known)
    p80s = sorted(estimate.p80 for estimate in known)
    for own in waiting:
        is_known = is_known and own is not None
        if own is None or not is_known:
            over.append(None)
            continue
        ends: list[float] = []
        for busy_until, takes in ((p50s, own.p50), (p80s, own.p80)):
            starts = 0.0
            if len(busy_until) >= at_once:
                starts = heapq.heappop(busy_until)
            heapq.heappush(busy_until, starts + takes)
            ends.append(starts + takes)
        over.append(Estimate(ends[0], ends[1]))
    return over


def together(estimates: Sequence[Estimate], at_once: int) -> Estimate | None:
    """Estimate the time until all are done if `at_once` of them run at the same time.

    The result is never less than the longest estimate.
    """
    if not estimates:
        return None
    p50s = [estimate.p50 for estimate in estimates]
    p80s = [estimate.p80 for estimate in estimates]
    p50 = max(sum(p50s) / at_once, *p50s)
    p80 = max(sum(p80s) / at_once, *p80s)
    return Estimate(p50, p80)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile, interpolated linearly (type 7, the default of R and NumPy)."""
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    step = ordered[high] - ordered[low]
    return ordered[low] + step * (position - low)
