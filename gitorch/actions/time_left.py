"""The progress of running tasks, and the time left of each run and of the queue."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from gitorch.actions.waiting import QueueView
from gitorch.database.values import QueuedTask, Running
from gitorch.model.estimate.estimate import Estimate
from gitorch.model.estimate.history import (
    MOST_EARLIER,
    EarlierDuration,
    History,
    Prediction,
    on_machine,
)
from gitorch.model.estimate.simulation import SimulatedTask, simulate
from gitorch.model.run.progress import LastMetric, Progress
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row, TaskRow
from gitorch.model.text.phrases import counted
from gitorch.model.values import flattened
from gitorch.storage.catalog import Catalog
from gitorch.storage.progress import read_progress
from gitorch.storage.site import Site
from gitorch.tools.clock import parse

_UNFINISHED = (Status.WAITING, Status.RUNNING)


class RunningTask(Struct, frozen=True, kw_only=True):
    """A running task. `left` is the time left of this task alone, None if it is unknown."""

    id: str
    elapsed_s: float
    progress: Progress | None
    metric: LastMetric | None
    left: Estimate | Prediction | None = None

    @property
    def estimate(self) -> Estimate | None:
        return (
            self.left.estimate if isinstance(self.left, Prediction) else self.left
        )

    @property
    def share(self) -> float | None:
        """Return the part that is done, by its progress or by earlier durations."""
        if self.progress is not None:
            return self.progress.share
        estimate = self.estimate
        if estimate is None:
            return None
        whole_s = self.elapsed_s + estimate.p50
        return self.elapsed_s / whole_s if whole_s > 0 else None


class Forecast(Struct, frozen=True, kw_only=True):
    """The running tasks by run, the time left of runs, and that of the queue. None: unknown."""

    running: Mapping[str, Sequence[RunningTask]]
    runs: Mapping[str, Estimate | None]
    total: Estimate | None


def forecast(
    site: Site,
    catalog: Catalog,
    rows: Sequence[Row],
    view: QueueView,
    *,
    slots: int,
    moment: datetime,
) -> Forecast:
    """Return the time left of the runs of `rows`, which are in their starting order.

    `slots` is the number of tasks that run at a time.
    """
    running = {}
    for row in rows:
        if row.status is Status.RUNNING:
            running[row.id] = _running_tasks(site, row, view, moment)
    histories = _Histories(catalog, rows, running)
    for row in rows:
        if row.id in running:
            running[row.id] = [
                _with_left(task, row, histories) for task in running[row.id]
            ]
    return _simulated(rows, view, running, histories, slots)


def _running_tasks(
    site: Site, row: Row, view: QueueView, moment: datetime
) -> list[RunningTask]:
    queued = view.queued.get(row.id)
    tasks = {task.id: task for task in row.tasks}
    running = []
    for task in queued.tasks if queued else ():
        if isinstance(task.state, Running) and task.id in tasks:
            steps = tasks[task.id].steps
            running.append(_running_task(site, task, task.state, steps, moment))
    return running


def _running_task(
    site: Site,
    task: QueuedTask,
    state: Running,
    steps: int | None,
    moment: datetime,
) -> RunningTask:
    started = parse(state.started)
    directory = site.directory(task.run).attempt(task.id, task.attempts)
    read = read_progress(directory, started_s=started.timestamp(), steps=steps)
    # Negative if the clock was set back.
    elapsed_s = max(0.0, (moment - started).total_seconds())
    left = read.progress.estimate(elapsed_s) if read.progress else None
    return RunningTask(
        id=task.id,
        elapsed_s=elapsed_s,
        progress=read.progress,
        metric=read.metric,
        left=left,
    )


def _with_left(task: RunningTask, row: Row, histories: _Histories) -> RunningTask:
    """Return the task with the time left by earlier runs, if its progress does not say it."""
    if task.left is not None:
        return task
    prediction = histories.predict(row, _task_of(row, task.id))
    left = prediction.given(task.elapsed_s) if prediction else None
    return RunningTask(
        id=task.id,
        elapsed_s=task.elapsed_s,
        progress=task.progress,
        metric=task.metric,
        left=left,
    )


def _task_of(row: Row, task_id: str) -> TaskRow:
    return next(task for task in row.tasks if task.id == task_id)


class _Histories:
    """The earlier durations of each kind of task, read from the catalog when they are asked for."""

    def __init__(
        self,
        catalog: Catalog,
        rows: Iterable[Row],
        running: Mapping[str, Sequence[RunningTask]],
    ) -> None:
        self._catalog = catalog
        self._host = socket.gethostname()
        self._histories: dict[str, History | None] = {}
        # The durations that the progress of the running tasks predicts.
        self._going_to_take: dict[str, list[EarlierDuration]] = {}
        for row in rows:
            for task in running.get(row.id, ()):
                if isinstance(task.left, Estimate):
                    found = _task_of(row, task.id)
                    seconds = task.elapsed_s + task.left.p50
                    duration = EarlierDuration(
                        seconds, _params(row, found), self._host
                    )
                    self._going_to_take.setdefault(found.kind, []).append(duration)

    def predict(self, row: Row, task: TaskRow) -> Prediction | None:
        """Return how long a task takes in a run, None if nothing is known about it."""
        if task.kind not in self._histories:
            self._histories[task.kind] = self._history(task.kind)
        history = self._histories[task.kind]
        if history is None:
            return None
        params = _params(row, task) if history.uses_params else {}
        return history.predict(params)

    def _history(self, kind: str) -> History | None:
        earlier = on_machine(
            self._catalog.durations(kind, MOST_EARLIER), self._host
        )
        source = None
        # They come first, as the newest: parameters may be others than ever before.
        going_to_take = self._going_to_take.get(kind, [])
        if going_to_take and not earlier:
            source = f"from {counted(len(going_to_take), 'running task')}"
        earlier = [*going_to_take, *earlier]
        return History(earlier, source=source) if earlier else None


def _params(row: Row, task: TaskRow) -> Mapping[str, object]:
    own = row.task_params.get(task.id)
    return flattened({**row.params, **own} if own else row.params)


def _simulated(
    rows: Sequence[Row],
    view: QueueView,
    running: Mapping[str, Sequence[RunningTask]],
    histories: _Histories,
    slots: int,
) -> Forecast:
    """Play the queue through, and return the time left of the runs in it."""
    queue = _Queue(view, running, histories)
    for row in rows:
        if row.id in view.runs_ahead and row.status in _UNFINISHED:
            queue.add(row)
    result = simulate(queue.tasks, slots, view.free)
    runs = {}
    # The simulation leaves out runs at the end that have no tasks.
    for run_id, left in zip(queue.run_ids, result.runs, strict=False):
        runs[run_id] = left and left._replace(source=queue.sources[run_id])
    for run_id in queue.blocked:
        runs[run_id] = None
    return Forecast(
        running=running, runs={**runs, **queue.of_one_task}, total=result.total
    )


class _Queue:
    """The unfinished tasks of the queue, as the simulation takes them."""

    def __init__(
        self,
        view: QueueView,
        running: Mapping[str, Sequence[RunningTask]],
        histories: _Histories,
    ) -> None:
        self._view = view
        self._running = running
        self._histories = histories
        self.tasks: list[SimulatedTask] = []
        self.run_ids: list[str] = []
        # On what the estimate of each run is based.
        self.sources: dict[str, str | None] = {}
        # The runs with a task that failed or is held: nobody knows when they go on.
        self.blocked: list[str] = []
        # The estimates of the runs with one task left, which is running.
        self.of_one_task: dict[str, Estimate | None] = {}

    def add(self, row: Row) -> None:
        """Add the tasks of a run that run or will run, unless a task before them has failed."""
        queued = self._view.queued[row.id]
        entries = {task.id: task for task in queued.tasks}
        running = {task.id: task for task in self._running.get(row.id, ())}
        unfinished = [
            task for task in row.tasks if task.status is not Status.COMPLETE
        ]
        added = self._playable(unfinished)
        places: dict[str, int] = {}
        has_begun = any(task.begun for task in queued.tasks)
        for task in added:
            places[task.id] = len(self.tasks)
            needs = [places[need] for need in task.needs if need in places]
            entry = entries.get(task.id)
            self.tasks.append(
                SimulatedTask(
                    run=len(self.run_ids),
                    left=self._left(row, task, running.get(task.id)),
                    needs=needs,
                    priority=entry.priority if entry else 0,
                    has_begun=has_begun,
                    is_running=task.id in running,
                    resources=task.resources,
                )
            )
        self.run_ids.append(row.id)
        self.sources[row.id] = _source(self.tasks[len(self.tasks) - len(added) :])
        if len(added) < len(unfinished):
            self.blocked.append(row.id)
        elif len(added) == len(running) == 1:
            self.of_one_task[row.id] = running[added[0].id].estimate

    def _playable(self, unfinished: Sequence[TaskRow]) -> list[TaskRow]:
        """Return the tasks that need no task that has failed or is held."""
        ids = {task.id for task in unfinished}
        playable: dict[str, TaskRow] = {}
        for task in unfinished:
            is_blocked = any(
                need in ids and need not in playable for need in task.needs
            )
            if not is_blocked and task.status in _UNFINISHED:
                playable[task.id] = task
        return list(playable.values())

    def _left(
        self, row: Row, task: TaskRow, running: RunningTask | None
    ) -> Estimate | Prediction | None:
        if running is not None:
            return running.left
        return self._histories.predict(row, task)


def _source(tasks: Sequence[SimulatedTask]) -> str | None:
    """Return on what the first known estimate of a run's tasks is based."""
    for task in tasks:
        if task.left is not None:
            return task.left.source
    return None
