"""Estimates from a task's own progress, from earlier runs, and of the queue."""

from __future__ import annotations

import pytest

from gitorch.model.estimate.distribution import Distribution
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.estimate.history import EarlierDuration, History, on_machine
from gitorch.model.estimate.pace import ProgressPoint, from_progress
from gitorch.model.estimate.simulation import SimulatedTask, simulate
from gitorch.model.run.spec import Resources


def test_the_newest_part_of_the_work_counts_most() -> None:
    slow_then_fast = [ProgressPoint(10.0 * step, step) for step in range(1, 11)]
    slow_then_fast += [
        ProgressPoint(100.0 + step, 10 + step) for step in range(1, 21)
    ]
    estimate = from_progress(slow_then_fast, 60, 120.0)
    assert estimate is not None
    assert 30 <= estimate.p50 < 60, "1 s a step now; 4 s a step on the average"
    assert estimate.p50 < estimate.p80
    assert estimate.source == "from its own progress"


def test_a_single_pause_is_not_expected_again() -> None:
    points = [
        ProgressPoint(step + (3600.0 if step > 10 else 0.0), step)
        for step in range(1, 21)
    ]
    estimate = from_progress(points, 40, 3620.0)
    assert estimate is not None
    assert 18 <= estimate.p50 <= estimate.p80 < 30


def test_one_report_is_a_straight_line() -> None:
    estimate = from_progress([ProgressPoint(10.0, 1)], 4, 10.0)
    assert estimate == Estimate(30.0, 37.5, "from its own progress")


def test_the_count_begins_again_after_a_restart() -> None:
    points = [
        ProgressPoint(1.0, 50),
        ProgressPoint(2.0, 99),
        ProgressPoint(10.0, 1),
        ProgressPoint(20.0, 2),
    ]
    estimate = from_progress(points, 4, 20.0)
    assert estimate is not None
    assert 15 < estimate.p50 < 25


@pytest.mark.parametrize(
    ("points", "total"),
    [([], 4), ([ProgressPoint(1.0, 0)], 4), ([ProgressPoint(1e6, 1e-9)], 4)],
)
def test_without_work_nothing_is_estimated(
    points: list[ProgressPoint], total: float
) -> None:
    assert from_progress(points, total, 1e6) is None


def test_the_same_params_say_more_than_others() -> None:
    earlier = []
    for seconds, epochs in (
        (100, 10),
        (10, 1),
        (102, 10),
        (11, 1),
        (99, 10),
        (10, 1),
    ):
        earlier.append(EarlierDuration(float(seconds), {"epochs": epochs}))
    history = History(earlier)
    assert 90 < history.predict({"epochs": 10}).estimate.p50 < 110
    assert 9 < history.predict({"epochs": 1}).estimate.p50 < 12
    prediction = history.predict({"epochs": 5})
    assert 40 < prediction.estimate.p50 < 60, "between them, as a power"
    assert prediction.source == "from 6 earlier runs"


def test_a_parameter_that_does_not_matter_changes_nothing() -> None:
    earlier = [
        EarlierDuration(60.0 + seed % 3, {"seed": seed}) for seed in range(20)
    ]
    history = History(earlier)
    assert 55 < history.predict({"seed": 10**6}).estimate.p50 < 65


def test_of_params_that_changed_together_the_plausible_one_counts() -> None:
    """A short trial was made with another learning rate: the epochs are what takes time."""
    trial = EarlierDuration(0.4, {"epochs": 60, "lr": 1.0})
    long = [
        EarlierDuration(8.0 + 0.1 * n, {"epochs": 4000, "lr": 0.1})
        for n in range(4)
    ]
    history = History([*long, trial, trial, trial])
    for lr in (0.3, 1.0):
        predicted = history.predict({"epochs": 4000, "lr": lr})
        assert 6 < predicted.estimate.p50 < 11


def test_a_task_that_runs_longer_than_all_before_it_is_unknown() -> None:
    prediction = History(
        [EarlierDuration(10.0, {}), EarlierDuration(11.0, {})]
    ).predict({})
    left = prediction.given(5.0)
    assert left is not None
    assert 4 < left.estimate.p50 < 7
    assert prediction.given(1000.0) is None


def test_the_durations_of_one_machine_are_preferred() -> None:
    here = [EarlierDuration(1.0, {}, "here")] * 3
    there = [EarlierDuration(9.0, {}, "there")] * 9
    assert on_machine([*there, *here], "here") == here
    assert len(on_machine([*there, *here[:2]], "here")) == 11


def test_a_distribution_given_the_time_elapsed() -> None:
    distribution = Distribution([10.0, 100.0], [0.5, 0.5])
    assert distribution.mean == 55.0
    left = distribution.given(20.0)
    assert left is not None
    assert left.quantile(0.5) == 80.0


# The queue


def _task(run: int, seconds: float | None, **more: object) -> SimulatedTask:
    left = None if seconds is None else Estimate(seconds, seconds)
    return SimulatedTask(run, left, **more)  # type: ignore[arg-type]


def _p50s(
    tasks: list[SimulatedTask], slots: int, free: Resources | None = None
) -> list[float | None]:
    forecast = simulate(tasks, slots, free)
    assert forecast.total is None or forecast.total.p50 == max(
        estimate.p50 for estimate in forecast.runs if estimate is not None
    )
    return [estimate and estimate.p50 for estimate in forecast.runs]


def test_a_waiting_run_is_over_after_those_before_it() -> None:
    tasks = [
        _task(0, 4, is_running=True),
        _task(1, 10, is_running=True),
        _task(2, 2),
        _task(3, 2),
        _task(4, 20),
    ]
    assert _p50s(tasks, 2) == [4, 10, 6, 8, 28]


def test_the_higher_priority_starts_first() -> None:
    tasks = [_task(0, 5), _task(1, 7, priority=1), _task(2, 1)]
    assert _p50s(tasks, 1) == [12, 7, 13]


def test_later_tasks_of_a_run_that_has_begun_go_first() -> None:
    tasks = [_task(0, 5), _task(0, 1, needs=(0,)), _task(1, 3)]
    assert _p50s(tasks, 1) == [6, 9]


def test_a_task_waits_for_all_that_it_needs() -> None:
    tasks = [_task(0, 5), _task(0, 8), _task(0, 1, needs=(0, 1)), _task(1, 1)]
    assert _p50s(tasks, 2) == [9, 6]


def test_resources_are_shared() -> None:
    gpu = Resources(gpus=1)
    tasks = [
        _task(0, 5, resources=gpu),
        _task(1, 5, resources=gpu),
        _task(2, 1),
    ]
    assert _p50s(tasks, 3, Resources(gpus=1)) == [5, 10, 1]
    assert _p50s(tasks, 3, Resources(gpus=0)) == [None, None, 1], "it never starts"


def test_behind_an_unknown_task_all_is_unknown() -> None:
    running = [_task(0, None, is_running=True), _task(1, 5)]
    assert _p50s(running, 1) == [None, None]
    waiting = [
        _task(0, 2, is_running=True),
        _task(1, 5),
        _task(2, None),
        _task(3, 5),
    ]
    assert _p50s(waiting, 1) == [2, 7, None, None]
    assert simulate(waiting, 1).total is None
    assert simulate([], 1).total is None


def test_runs_of_several_tasks_keep_their_slots() -> None:
    """The short way for runs whose tasks follow one another is as good as the long one."""
    tasks = []
    for run in range(6):
        tasks += [_task(run, 2 + run), _task(run, 1, needs=(2 * run,))]
    short = _p50s(tasks, 2)
    unlimited = Resources(cpus=99)
    assert short == _p50s(tasks, 2, unlimited) == [3, 4, 8, 10, 15, 18]


def test_a_long_queue_is_played_through_quickly() -> None:
    history = History([EarlierDuration(9.0 + seed % 3, {}) for seed in range(50)])
    prediction = history.predict({})
    tasks = [SimulatedTask(run, prediction) for run in range(20_000)]
    total = simulate(tasks, 4).total
    assert total is not None
    assert 45_000 < total.p50 < total.p80 < 60_000
