"""Estimates of the time left, from the progress that a task reports or earlier durations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """Seconds left. p50 is as likely too long as too short; p80 is enough in four cases of five."""

    p50: float
    p80: float

    def to_json(self) -> dict[str, float]:
        return {"p50": round(self.p50, 1), "p80": round(self.p80, 1)}


# Progress is rarely even: what four of five runs need beyond a straight line through the work done.
_UNEVEN = 1.25


def from_progress(done: float, total: float, elapsed_s: float) -> Estimate | None:
    """Extend a straight line through the work done. Return None before any work is done."""
    if done <= 0 or total <= 0:
        return None
    left_s = elapsed_s * max(total - done, 0.0) / done
    return Estimate(left_s, left_s * _UNEVEN)


def from_durations(durations: Sequence[float], elapsed_s: float = 0.0) -> Estimate | None:
    """Estimate from the durations of earlier attempts, in seconds.

    Only those that took longer than `elapsed_s` count. Return None if there is no such duration.
    """
    left_s = sorted(duration - elapsed_s for duration in durations if duration > elapsed_s)
    if not left_s:
        return None
    return Estimate(_quantile(left_s, 0.5), _quantile(left_s, 0.8))


def together(estimates: Sequence[Estimate], at_once: int) -> Estimate | None:
    """Estimate the time until all are done, with `at_once` of them side by side.

    The result is never less than the longest estimate.
    """
    if not estimates:
        return None
    p50 = [estimate.p50 for estimate in estimates]
    p80 = [estimate.p80 for estimate in estimates]
    return Estimate(max(sum(p50) / at_once, *p50), max(sum(p80) / at_once, *p80))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Interpolate linearly between the two neighbours (type 7, the default of R and NumPy)."""
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
