"""How long it will still take: from what a task says of its progress, else from how long the like of it took before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """Seconds left: as likely less as more (p50), and enough in four cases out of five (p80)."""

    p50: float
    p80: float

    def to_json(self) -> dict[str, float]:
        return {"p50": round(self.p50, 1), "p80": round(self.p80, 1)}


# Progress is seldom even: what four in five runs need beyond a straight line through the work done so far.
_UNEVEN = 1.25


def from_progress(done: float, total: float, elapsed_s: float) -> Estimate | None:
    """A straight line through the work done; None before anything is done."""
    if done <= 0 or total <= 0:
        return None
    left = elapsed_s * max(total - done, 0.0) / done
    return Estimate(left, left * _UNEVEN)


def from_durations(durations: Sequence[float], elapsed_s: float = 0.0) -> Estimate | None:
    """From how long earlier ones took, in seconds; None without any.

    Only those that took longer than `elapsed_s` tell something; past them all, nothing does.
    """
    left = sorted(duration - elapsed_s for duration in durations if duration > elapsed_s)
    if not left:
        return None
    return Estimate(_quantile(left, 0.5), _quantile(left, 0.8))


def together(estimates: Sequence[Estimate], at_once: int) -> Estimate | None:
    """The time until all are done, `at_once` of them side by side; never less than the longest."""
    if not estimates:
        return None
    return Estimate(
        max(sum(one.p50 for one in estimates) / at_once, *(one.p50 for one in estimates)),
        max(sum(one.p80 for one in estimates) / at_once, *(one.p80 for one in estimates)),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between the two neighbours (the default of R and NumPy, type 7)."""
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
