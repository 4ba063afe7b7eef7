"""The time left in words, for the terminal and for the page."""

from __future__ import annotations

from datetime import datetime, timedelta

from gitorch.actions.status import SiteStatus
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.text.shown import duration

UNKNOWN = "–"


def time_left(status: SiteStatus) -> list[str]:
    """Return `about 4 min left` and `until 15:42`, as far as they are known."""
    if status.eta is None:
        return [f"{UNKNOWN} left"]
    if status.totals.ends is None:
        return [f"{about_words(status.eta.p50)} of work"]
    ends = datetime.fromisoformat(status.totals.ends)
    return time_until(ends, status.eta)


def time_until(ends: datetime, eta: Estimate) -> list[str]:
    """Return `about 4 min left` and `until 15:42` for what ends at `ends`, in `eta` from now."""
    ends = ends.astimezone()
    now = ends - timedelta(seconds=eta.p50)
    return [f"{about_words(eta.p50)} left", f"until {_clock(ends, now)}"]


def _clock(ends: datetime, now: datetime) -> str:
    """Return the time of day, with the day if it is another one."""
    if ends.date() == now.date():
        return f"{ends:%H:%M}"
    if ends - now < timedelta(days=6):
        return f"{ends:%a %H:%M}"
    return f"{ends:%Y-%m-%d %H:%M}"


def about_words(seconds: float) -> str:
    """Return a rounded duration as `about 40 s`, `about 4 min` or `about 2 h 10 min`."""
    if seconds < 55:
        return f"about {max(1, _rounded(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"about {round(seconds / 86400)} days"
    if hours >= 10 or not minutes:
        return f"about {round(seconds / 3600)} h"
    return f"about {hours} h {minutes} min"


def _rounded(seconds: float) -> int:
    """Return seconds that do not change each time that they are shown."""
    return round(seconds / 5) * 5 if seconds >= 10 else round(seconds)


def render_estimate(estimate: Estimate | None) -> str:
    """Return an estimate as `2m10s to 3m00s`, an unknown one as a dash.

    The time is less than the first figure in one case out of two, and less than the second in four
    cases out of five.
    """
    if estimate is None:
        return UNKNOWN
    half, most = duration(estimate.p50), duration(estimate.p80)
    return half if half == most else f"{half} to {most}"
