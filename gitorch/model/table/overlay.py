"""The current state of a run: its record, with the newer statuses of the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from gitorch.model.run.status import Status, run_status, states

if TYPE_CHECKING:
    from gitorch.model.run.record import Record
    from gitorch.model.table.row import Row

Run = TypeVar("Run", "Record", "Row")


def with_queue(run: Run, statuses: Mapping[str, Status], *, has_worker: bool) -> Run:
    """Return `run` with the statuses that the queue has of its tasks.

    `has_worker` says that a living worker is assigned to the run.
    """
    if run.status in (Status.COMPLETE, Status.FAILED) or not statuses:
        return run
    tasks = []
    for task in run.tasks:
        status = statuses.get(task.id, task.status)
        tasks.append(task if status is task.status else replace(task, status=status))
    current = run_status(states(tasks, run.needs), started=has_worker)
    return replace(run, tasks=tuple(tasks), status=current)
