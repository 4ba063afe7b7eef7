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


def with_queue(
    run: Run, statuses: Mapping[str, Status], *, has_worker: bool
) -> Run:
    """Return `run` with the statuses that its tasks have in the queue.

    `has_worker` is True if a living worker is assigned to the run.
    """
    if run.status in (Status.COMPLETE, Status.FAILED) or not statuses:
        return run
    tasks = []
    for task in run.tasks:
        status = statuses.get(task.id, task.status)
        if status is not task.status:
            task = replace(task, status=status)
        tasks.append(task)
    current = run_status(states(tasks, run.needs), started=has_worker)
    return replace(run, tasks=tuple(tasks), status=current)
