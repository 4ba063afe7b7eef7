"""The quality of the estimates: histories are replayed, and the ranges compared with what came.

An estimate is good if the actual time is below its p80 in four cases out of five, and if the p80 is
not much above the actual time. `pytest -s` shows the figures.
"""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections.abc import Iterator, Sequence

import pytest

from gitorch.model.estimate.estimate import Estimate
from gitorch.model.estimate.history import EarlierDuration, History
from gitorch.model.estimate.pace import ProgressPoint, from_progress
from gitorch.model.estimate.simulation import SimulatedTask, simulate
from tests.model.estimate.replayed import REPORTING, histories

Case = tuple[Estimate, float]  # an estimate and the actual time
_JOBS = 2


def _share_below(cases: Sequence[Case]) -> float:
    return statistics.mean(actual <= estimate.p80 for estimate, actual in cases)


def _width(cases: Sequence[Case]) -> float:
    """Return how many times the actual time the p80 is, in the median case."""
    return statistics.median(estimate.p80 / actual for estimate, actual in cases)


def _report(what: str, cases: Sequence[Case]) -> None:
    print(
        f"{what:32} {len(cases):4} cases, "
        f"below p80 {_share_below(cases):5.1%}, median p80/actual {_width(cases):.2f}"
    )


def _of_tasks(
    history: Sequence[EarlierDuration], elapsed_share: float
) -> Iterator[Case]:
    """Yield the estimate of each task from those before it, after a share of its time."""
    for index in range(1, len(history)):
        task = history[index]
        earlier = list(reversed(history[:index]))
        elapsed_s = task.seconds * elapsed_share
        prediction = History(earlier).predict(task.params).given(elapsed_s)
        if prediction is not None:
            yield prediction.estimate, task.seconds - elapsed_s


def _of_queues(name: str, history: Sequence[EarlierDuration]) -> Iterator[Case]:
    """Yield the estimate of the time until all later tasks are over, at several moments.

    The durations of running tasks that report their progress are known.
    """
    for index in range(3, len(history) - 1, 3):
        left = history[index:]
        earlier = list(reversed(history[:index]))
        if name == REPORTING:
            earlier = [*left[:_JOBS], *earlier]
        model = History(earlier)
        tasks = []
        for number, task in enumerate(left):
            is_running = number < _JOBS
            prediction = model.predict(task.params)
            tasks.append(SimulatedTask(number, prediction, is_running=is_running))
        total = simulate(tasks, _JOBS).total
        assert total is not None
        yield total, _played([task.seconds for task in left])


def _played(durations: Sequence[float]) -> float:
    slots = [0.0] * _JOBS
    for seconds in durations:
        heapq.heapreplace(slots, slots[0] + seconds)
    return max(slots)


@pytest.mark.parametrize("elapsed_share", [0.0, 0.5])
def test_the_time_left_of_tasks_from_earlier_runs(elapsed_share: float) -> None:
    everything = []
    for name, history in histories().items():
        cases = list(_of_tasks(history, elapsed_share))
        _report(f"{name}, after {elapsed_share:.0%}", cases)
        everything += cases
    _report(f"all tasks, after {elapsed_share:.0%}", everything)
    assert _share_below(everything) >= 0.75
    assert _width(everything) <= 1.5


def test_the_time_left_of_queues_from_earlier_runs() -> None:
    everything = []
    for name, history in histories().items():
        cases = list(_of_queues(name, history))
        if cases:
            _report(f"queue: {name}", cases)
        everything += cases
    _report("all queues", everything)
    assert _share_below(everything) >= 0.75
    assert _width(everything) <= 1.5


def _steady(chance: random.Random) -> Iterator[float]:
    while True:
        yield 2 * math.exp(chance.gauss(0, 0.2))


def _slowing(chance: random.Random) -> Iterator[float]:
    for step in range(1000):
        yield (1 + step / 100) * math.exp(chance.gauss(0, 0.1))


def _with_a_pause(chance: random.Random) -> Iterator[float]:
    for step in range(1000):
        yield 600.0 if step == 20 else chance.uniform(1.5, 2.5)


def _with_evaluations(chance: random.Random) -> Iterator[float]:
    for step in range(1000):
        yield chance.uniform(0.8, 1.2) + (15.0 if step % 10 == 9 else 0.0)


def _after_a_long_start(chance: random.Random) -> Iterator[float]:
    yield 120.0
    while True:
        yield chance.uniform(0.9, 1.1)


def _of_progress(steps: Iterator[float], total: int) -> Iterator[Case]:
    """Yield the estimates of a task at some of its steps."""
    moments = [0.0]
    for _ in range(total):
        moments.append(moments[-1] + next(steps))
    for done in range(5, total, 5):
        points = [ProgressPoint(moments[step], step) for step in range(1, done + 1)]
        estimate = from_progress(points, total, moments[done])
        assert estimate is not None
        yield estimate, moments[total] - moments[done]


def test_the_time_left_of_a_task_from_its_progress() -> None:
    everything = []
    for make in (
        _steady,
        _slowing,
        _with_a_pause,
        _with_evaluations,
        _after_a_long_start,
    ):
        cases = []
        for seed in range(4):
            cases += _of_progress(make(random.Random(seed)), 100)
        _report(f"progress: {make.__name__.strip('_').replace('_', ' ')}", cases)
        everything += cases
    _report("all progress", everything)
    assert _share_below(everything) >= 0.75
    assert _width(everything) <= 1.5
