"""The record says what happened, the queue what goes on: one laid over the other is how a run is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from gitorch.model.run.status import Status, run_status, states

if TYPE_CHECKING:
    from gitorch.model.run.record import Record
    from gitorch.model.table.row import Row

Run = TypeVar("Run", "Record", "Row")


def laid_over(run: Run, tasks: Mapping[str, Status], *, in_hand: bool) -> Run:
    """`run` with the statuses that the queue has of its `tasks`; `in_hand`: a living worker is at it."""
    if run.status in (Status.COMPLETE, Status.FAILED) or not tasks:
        return run
    now = tuple(
        task
        if tasks.get(task.id, task.status) is task.status
        else replace(task, status=tasks[task.id])
        for task in run.tasks
    )
    return replace(run, tasks=now, status=run_status(states(now, run.needs), started=in_hand))
