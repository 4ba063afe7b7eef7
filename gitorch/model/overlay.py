"""The record says what happened, the queue what goes on: one laid over the other is how a run is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitorch.model.record import Record, can_go_on
from gitorch.model.status import Status, run_status


def laid_over(record: Record, tasks: Mapping[str, Status], *, in_hand: bool) -> Record:
    """`record` with the statuses that the queue has of its `tasks`; `in_hand`: a living worker is at it."""
    if record.status in (Status.COMPLETE, Status.FAILED) or not tasks:
        return record
    now = replace(record, tasks=tuple(replace(task, status=tasks.get(task.id, task.status)) for task in record.tasks))
    states = [(task.status, can_go_on(now, task)) for task in now.tasks]
    return replace(now, status=run_status(states, started=in_hand))
