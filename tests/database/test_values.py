"""The values of the queue."""

from __future__ import annotations

from typing import get_args

from gitorch.database.values import (
    QueuedRun,
    QueuedTask,
    Running,
    TaskState,
    Waiting,
)
from gitorch.model.run.status import QUEUED, Status


def task(state: TaskState) -> QueuedTask:
    return QueuedTask(run="r", id="t", priority=0, attempts=0, state=state)


def test_every_status_of_the_queue_has_a_state() -> None:
    assert {state.status for state in get_args(TaskState)} == set(QUEUED)


def test_a_run_is_running_if_one_of_its_tasks_is() -> None:
    waiting = task(Waiting())
    running = task(Running(token="token", worker="w", started="now"))
    assert (waiting.status, running.status) == (Status.WAITING, Status.RUNNING)
    assert not QueuedRun(
        id="r", worker=None, held=False, tasks=(waiting,)
    ).is_running
    assert QueuedRun(
        id="r", worker="w", held=False, tasks=(waiting, running)
    ).is_running
