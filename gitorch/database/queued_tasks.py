"""The tasks of a queued run, as its record has them."""

from __future__ import annotations

import json

from gitorch.database.connection import Transaction
from gitorch.database.values import NewRun, amounts, outcome_json


def add_tasks(execute: Transaction, new: NewRun) -> None:
    """Add the tasks of a run that the queue does not have."""
    unfinished = {task.id for task in new.tasks}
    for position, task in enumerate(new.tasks):
        execute(
            "add_task",
            run=new.id,
            id=task.id,
            position=position,
            priority=task.priority,
            status=str(task.status),
            attempts=task.attempts,
            outcome=outcome_json(task.outcome),
            begun=new.begun,
            **amounts(task.resources),
        )
        for needed in unfinished.intersection(task.needs):
            execute("add_need", run=new.id, task=task.id, needed=needed)


def bring_tasks(execute: Transaction, new: NewRun) -> None:
    """Make the tasks of a queued run agree with its record."""
    unfinished = json.dumps([task.id for task in new.tasks])
    execute("forget_finished_tasks", run=new.id, unfinished=unfinished)
    add_tasks(execute, new)
    execute("hold_tasks" if new.held else "release_tasks", run=new.id)
    for task in new.tasks:
        outcome = outcome_json(task.outcome)
        execute(
            "set_task_status",
            run=new.id,
            task=task.id,
            status=str(task.status),
            outcome=outcome,
        )
    execute("unassign_stuck_run", run=new.id)
    execute("drop_emptied_run", run=new.id)
