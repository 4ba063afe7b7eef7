"""The time left of the queue: the rules of the scheduler, played through with likely durations.

A free slot takes the ready task with the highest priority; among these, the tasks of runs that have
begun, and then the tasks that were queued first. A task that needs more resources than are free is
passed over. A task is ready when the tasks that it needs are complete.

The queue is played through several times, with durations from all parts of their distributions. A
long queue is played through twice, since chance evens out in it: once with mean durations, and once
with durations that are longer by the error that all of them have in common.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gitorch.model.estimate.estimate import Estimate
from gitorch.model.estimate.history import Prediction
from gitorch.model.run.spec import Resources

_MOST_STEPS = 12_000  # tasks that are played through, in all plays together
_MOST_PLAYS = 64
_FEWEST_PLAYS = 12
_EIGHTY = 0.8416  # the standard normal quantile of 0.8
# The error that the durations of all tasks have in common, beside the errors of the histories: that
# of the simulation itself.
_COMMON_ERROR = 0.05
_MOST_GROWTH = 50  # tasks; no trend goes on for ever
_SEED = 20


class SimulatedTask(NamedTuple):
    """An unfinished task of a queue.

    `run` and `needs` are indexes: of its run, and of tasks of the queue. `left` is the time that is
    left of it, None if it is unknown. A prediction of an estimate has no distribution to draw from.
    """

    run: int
    left: Prediction | Estimate | None
    needs: Sequence[int] = ()
    priority: int = 0
    has_begun: bool = False  # a task of its run was started before
    is_running: bool = False
    resources: Resources | None = None


class QueueForecast(NamedTuple):
    """The time until each run is over, by its index, and until all are. None: it is unknown."""

    runs: list[Estimate | None]
    total: Estimate | None


def simulate(
    tasks: Sequence[SimulatedTask], slots: int, free: Resources | None = None
) -> QueueForecast:
    """Estimate when the runs of a queue are over.

    `tasks` are in the order in which they were queued. `free` are the resources that no running
    task uses, None if none are counted. A task that waits for one of unknown duration, or for a
    slot behind it, is unknown too.
    """
    count = max((task.run for task in tasks), default=-1) + 1
    known = _known(tasks)
    if not known:
        return QueueForecast([None] * count, None)
    played = _without_unknown(tasks, known)
    ends_of_plays = []
    plays = _plays(played)
    for durations in plays:
        ends = _ends(played, durations, slots, free)
        over = [0.0] * count
        for task, end in zip(played, ends, strict=True):
            over[task.run] = max(over[task.run], end)
        ends_of_plays.append(over)
    unknown = {tasks[index].run for index in set(range(len(tasks))) - set(known)}
    runs: list[Estimate | None] = []
    for run, over_in_plays in enumerate(zip(*ends_of_plays, strict=True)):
        runs.append(None if run in unknown else _middle(over_in_plays))
    total = _middle([max(over) for over in ends_of_plays])
    return QueueForecast(runs, None if unknown else total)


def _known(tasks: Sequence[SimulatedTask]) -> list[int]:
    """Return the tasks whose ends can be estimated: none that may start before is unknown."""
    if all(task.left is not None for task in tasks):
        return list(range(len(tasks)))
    known = [
        index
        for index, task in enumerate(tasks)
        if task.is_running and task.left is not None
    ]
    if len(known) < sum(task.is_running for task in tasks):
        return known
    waiting = [index for index, task in enumerate(tasks) if not task.is_running]
    waiting.sort(key=lambda index: _rank(tasks[index], index))
    for index in waiting:
        if tasks[index].left is None:
            break
        known.append(index)
    return sorted(known)


def _without_unknown(
    tasks: Sequence[SimulatedTask], known: Sequence[int]
) -> Sequence[SimulatedTask]:
    """Return the known tasks. The tasks that they need are indexes in the result."""
    if len(known) == len(tasks):
        return tasks
    place = {index: number for number, index in enumerate(known)}
    played = []
    for index in known:
        needs = [place[need] for need in tasks[index].needs if need in place]
        played.append(tasks[index]._replace(needs=needs))
    return played


def _rank(task: SimulatedTask, index: int) -> tuple[int, bool, int]:
    return -task.priority, not task.has_begun, index


def _middle(ends: Sequence[float]) -> Estimate | None:
    """Return the range of the ends in all plays; two plays are its two figures."""
    ordered = sorted(ends)
    if math.isinf(ordered[-1]):
        return None
    if len(ordered) == 2:
        return Estimate(ordered[0], ordered[1])
    return Estimate(_quantile(ordered, 0.5), _quantile(ordered, 0.8))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile, interpolated linearly (type 7, the default of R and NumPy)."""
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    step = ordered[high] - ordered[low]
    return ordered[low] + step * (position - low)


def _plays(tasks: Sequence[SimulatedTask]) -> list[list[float]]:
    """Return the durations of all tasks in each play."""
    count = min(_MOST_PLAYS, _MOST_STEPS // len(tasks))
    if count < _FEWEST_PLAYS:
        plays = []
        for deviations in (0.0, _EIGHTY):
            plays.append(
                [_mean(task, place, deviations) for place, task in enumerate(tasks)]
            )
        return plays
    chance = random.Random(_SEED)  # noqa: S311  no secret: the same each time
    shares = [(index + 0.5) / count for index in range(count)]
    common = [_normal(share) for share in shares]
    chance.shuffle(common)
    columns = []
    for place, task in enumerate(tasks):
        chance.shuffle(shares)
        columns.append(_drawn(task, place, shares, common))
    return [list(durations) for durations in zip(*columns, strict=True)]


def _mean(task: SimulatedTask, place: int, deviations: float) -> float:
    """Return the mean duration, with this many standard deviations of the common error."""
    left = task.left
    if isinstance(left, Prediction):
        if not deviations:
            return left.mean_s
        return left.mean_s * math.exp(deviations * _common_error(left, place))
    if left is None:
        return math.inf
    return left.p80 if deviations else left.p50


def _drawn(
    task: SimulatedTask,
    place: int,
    shares: Sequence[float],
    common: Sequence[float],
) -> list[float]:
    """Return quantiles of a duration, each with its part of the common error."""
    left = task.left
    if isinstance(left, Prediction):
        error = _common_error(left, place)
        durations = []
        for share, deviations in zip(shares, common, strict=True):
            durations.append(left.quantile(share) * math.exp(deviations * error))
        return durations
    if left is None:
        return [math.inf] * len(shares)
    # A lognormal distribution with these two quantiles.
    if left.p50 <= 0 or left.p80 <= left.p50:
        return [left.p80] * len(shares)
    width = math.log(left.p80 / left.p50) / _EIGHTY
    return [left.p50 * math.exp(width * _normal(share)) for share in shares]


def _common_error(left: Prediction, place: int) -> float:
    """Return the standard deviation of the error that a task shares with the others."""
    growth = left.growth * min(place, _MOST_GROWTH)
    return left.error + _COMMON_ERROR + growth


def _normal(share: float) -> float:
    """Return the quantile of the standard normal distribution (Tukey's lambda, within 0.01)."""
    return float(share**0.1349 - (1 - share) ** 0.1349) / 0.1975


class _Play:
    """One play of the queue: the ready tasks by the resources they need, and what is free."""

    def __init__(
        self, tasks: Sequence[SimulatedTask], slots: int, free: Resources | None
    ) -> None:
        self.tasks = tasks
        self.slots = slots
        self.free = None
        if free is not None:
            self.free = [free.cpus, free.gpus, free.memory_bytes]
        self.begun = {
            task.run for task in tasks if task.has_begun or task.is_running
        }
        self._ready: dict[tuple[float, ...], list[tuple[int, bool, int]]] = {}

    def add(self, index: int) -> None:
        """Let a task wait for a slot."""
        task = self.tasks[index]
        rank = (-task.priority, task.run not in self.begun, index)
        heapq.heappush(self._ready.setdefault(_demand(task), []), rank)

    def take(self) -> int | None:
        """Return the task that starts next, None if none can start now."""
        best = None
        for demand, heap in self._ready.items():
            if heap and self._fits(demand) and (best is None or heap[0] < best[0]):
                best = heap[0], heap
        if best is None or self.slots <= 0:
            return None
        index = heapq.heappop(best[1])[2]
        self.begun.add(self.tasks[index].run)
        self.change(index, -1)
        return index

    def change(self, index: int, sign: int) -> None:
        """Occupy (-1) or free (1) a slot and the resources of a task."""
        self.slots += sign
        if self.free is not None:
            demand = _demand(self.tasks[index])
            self.free = [
                have + sign * need
                for have, need in zip(self.free, demand, strict=True)
            ]

    def _fits(self, demand: tuple[float, ...]) -> bool:
        if self.free is None:
            return True
        return all(
            need <= have for need, have in zip(demand, self.free, strict=True)
        )


def _demand(task: SimulatedTask) -> tuple[float, ...]:
    wanted = task.resources
    if wanted is None:
        return 0.0, 0.0, 0.0
    return wanted.cpus, wanted.gpus, wanted.memory_bytes


def _ends(
    tasks: Sequence[SimulatedTask],
    durations: Sequence[float],
    slots: int,
    free: Resources | None,
) -> list[float]:
    """Return when each task ends. A task that never starts ends at infinity."""
    if free is None and _are_chains(tasks):
        return _ends_of_chains(tasks, durations, slots)
    ends = [math.inf] * len(tasks)
    waits_for = [len(task.needs) for task in tasks]
    dependents = _dependents(tasks)
    play = _Play(tasks, slots, free)
    running = []
    for index, task in enumerate(tasks):
        if task.is_running:
            play.slots -= 1
            running.append((durations[index], index))
        elif not task.needs:
            play.add(index)
    heapq.heapify(running)
    _start(play, running, durations, 0.0)
    while running:
        now, index = heapq.heappop(running)
        ends[index] = now
        play.change(index, 1)
        for dependent in dependents[index]:
            waits_for[dependent] -= 1
            if waits_for[dependent] == 0:
                play.add(dependent)
        _start(play, running, durations, now)
    return ends


def _dependents(tasks: Sequence[SimulatedTask]) -> dict[int, list[int]]:
    """Return the tasks that need each task."""
    dependents = defaultdict(list)
    for index, task in enumerate(tasks):
        for need in task.needs:
            dependents[need].append(index)
    return dependents


def _are_chains(tasks: Sequence[SimulatedTask]) -> bool:
    """Return True if the tasks of each run follow one another, all with the same priority.

    A run that has begun then keeps its slot, since its next task goes first.
    """
    last: dict[int, int] = {}
    for index, task in enumerate(tasks):
        before = last.get(task.run)
        needs = () if before is None else (before,)
        if tuple(task.needs) != needs or task.priority != tasks[0].priority:
            return False
        if task.is_running and before is not None:
            return False
        last[task.run] = index
    return True


def _ends_of_chains(
    tasks: Sequence[SimulatedTask], durations: Sequence[float], slots: int
) -> list[float]:
    """Return when the run of each task ends, if the tasks of a run follow one another."""
    lengths: dict[int, float] = defaultdict(float)
    first: dict[int, SimulatedTask] = {}
    for task, seconds in zip(tasks, durations, strict=True):
        lengths[task.run] += seconds
        first.setdefault(task.run, task)
    running = [run for run, task in first.items() if task.is_running]
    # A worker that is stopping has more running tasks than slots.
    busy_until = sorted(lengths[run] for run in running)[-slots:]
    busy_until += [0.0] * (slots - len(busy_until))
    heapq.heapify(busy_until)
    waiting = [run for run, task in first.items() if not task.is_running]
    waiting.sort(key=lambda run: not first[run].has_begun)
    for run in waiting:
        lengths[run] += busy_until[0]
        heapq.heapreplace(busy_until, lengths[run])
    return [lengths[task.run] for task in tasks]


def _start(
    play: _Play,
    running: list[tuple[float, int]],
    durations: Sequence[float],
    now: float,
) -> None:
    """Start tasks in the free slots."""
    while play.slots > 0 and (index := play.take()) is not None:
        heapq.heappush(running, (now + durations[index], index))
