"""The progress of a running task, from the first source that is available.

The sources are: what it reports (`gitorch.progress`, or lines in `$GITORCH_EVENTS`), a progress bar
in its log, and the steps of its metrics together with the `steps` that its config declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from gitorch.model.estimate.estimate import Estimate
from gitorch.model.estimate.pace import SOURCE, ProgressPoint, from_progress
from gitorch.model.numbers import is_finite, is_number
from gitorch.model.run.progress_bar import ShownProgress

_MOST_POINTS = 400  # from which a pace is taken
# Four tasks out of five take at most this many times the time that a bar shows.
_UNEVEN = 1.25

Source = Literal["events", "tqdm", "steps"]


class Progress(Struct, frozen=True, kw_only=True):
    """`done` of `total` units of work are done.

    `points` are earlier reports, with seconds since the start. `left_s` is what a bar says about
    the time that is left. `is_part` is True if the task has more work than `total`.
    """

    done: float
    total: float
    source: Source
    points: tuple[ProgressPoint, ...] = ()
    left_s: float | None = None
    is_part: bool = False

    @property
    def share(self) -> float:
        return min(max(self.done / self.total, 0.0), 1.0)

    def estimate(self, elapsed_s: float) -> Estimate | None:
        """Return the time left, None if the progress does not say enough."""
        if self.is_part:
            return None
        if self.source == "tqdm":
            if self.left_s is None:
                return None
            return Estimate(self.left_s, self.left_s * _UNEVEN, SOURCE)
        points = self.points or (ProgressPoint(elapsed_s, self.done),)
        return from_progress(points, self.total, elapsed_s)

    def to_json(self) -> dict[str, Any]:
        return {"done": self.done, "total": self.total, "source": self.source}


class LastMetric(NamedTuple):
    """The newest value of a metric. `value` is None if it was not a finite number."""

    name: str
    value: float | None
    step: float | None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "step": self.step}


class ReportedProgress(NamedTuple):
    """The progress, the newest metric and its steps, as the events of a running task say.

    `steps` are the steps with their seconds since the start.
    """

    progress: Progress | None = None
    metric: LastMetric | None = None
    steps: tuple[ProgressPoint, ...] = ()


def reports_of(
    newest: Iterable[Any], first: Iterable[Any], started_s: float
) -> ReportedProgress:
    """Return what events say: the newest, the oldest first, and the very first of the task.

    Of several metrics, the one that was reported first is shown. `started_s` is the Unix time at
    which the attempt started.
    """
    shown = next(filter(None, map(_name_of, first)), None)
    progress: list[tuple[float, float]] = []
    points: list[ProgressPoint] = []
    steps: list[ProgressPoint] = []
    metric = None
    for event in newest:
        match event:
            case {"progress": [done, total]} if _is_progress(done, total):
                progress.append((done, total))
                _add(points, event, done, started_s)
            case {"metric": str(name), "value": value} if shown in (None, name):
                step = event.get("step")
                step = step if is_finite(step) else None
                metric = LastMetric(name, value if is_finite(value) else None, step)
                if step is not None:
                    _add(steps, event, step, started_s)
    reported = None
    if progress:
        done, total = progress[-1]
        reported = Progress(
            done=done, total=total, source="events", points=_thinned(points)
        )
    return ReportedProgress(reported, metric, _thinned(steps))


def from_steps(
    reports: ReportedProgress, declared: int, first_step: float | None
) -> Progress | None:
    """Return the progress by the step of a metric. Steps are counted from 0 or from 1."""
    if reports.metric is None or reports.metric.step is None:
        return None
    offset = 1 if first_step == 0 else 0
    points = [
        ProgressPoint(point.seconds, point.done + offset) for point in reports.steps
    ]
    return Progress(
        done=reports.metric.step + offset,
        total=float(declared),
        source="steps",
        points=tuple(points),
    )


def from_bar(shown: ShownProgress, age_s: float) -> Progress:
    """Return the progress that a bar shows, which was printed `age_s` seconds ago."""
    left_s = shown.bar.left_s
    if left_s is not None:
        left_s = max(0.0, left_s - age_s)
    return Progress(
        done=shown.bar.done,
        total=shown.bar.total,
        source="tqdm",
        left_s=left_s,
        is_part=shown.is_part,
    )


def first_step_of(events: Iterable[Any]) -> float | None:
    """Return the first step that was reported."""
    for event in events:
        if isinstance(event, Mapping) and "metric" in event:
            step = event.get("step")
            if is_number(step):
                return float(step)
    return None


def _name_of(event: Any) -> str | None:
    name = event.get("metric") if isinstance(event, Mapping) else None
    return name if isinstance(name, str) else None


def _is_progress(done: Any, total: Any) -> bool:
    return is_finite(done) and is_finite(total) and total > 0


def _add(
    points: list[ProgressPoint],
    event: Mapping[str, Any],
    done: float,
    started_s: float,
) -> None:
    """Add a point if the event has a time that can be true."""
    time = event.get("time")
    if not is_finite(time) or time < started_s:
        return
    if not points or time - started_s >= points[-1].seconds:
        points.append(ProgressPoint(time - started_s, done))


def _thinned(points: Sequence[ProgressPoint]) -> tuple[ProgressPoint, ...]:
    """Return at most `_MOST_POINTS` points, with the last one."""
    every = max(1, -(-len(points) // _MOST_POINTS))
    return tuple(points[::-1][::every][::-1])
