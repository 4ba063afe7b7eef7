"""The statuses of tasks and runs, and the table of all permitted transitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Status(StrEnum):
    """The status of a task or a run. Only a run can be FAILED."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ERROR = "ERROR"
    FAILED = "FAILED"
    HOLD = "HOLD"


# The statuses of tasks in the queue. A complete task is not in the queue.
QUEUED = (Status.WAITING, Status.RUNNING, Status.ERROR, Status.HOLD)
LIVE = frozenset(QUEUED)


# `gitorch --help` loads this module. A struct would have it load msgspec, which takes 15 ms.
class Transition(NamedTuple):
    """A permitted change. `source` is None for a new run, `target` for a killed one."""

    source: Status | None
    target: Status | None
    verb: str


TRANSITIONS: tuple[Transition, ...] = (
    Transition(None, Status.WAITING, "ready"),
    Transition(None, Status.HOLD, "ready"),
    Transition(Status.WAITING, Status.RUNNING, "claim"),
    Transition(Status.WAITING, Status.HOLD, "hold"),
    Transition(Status.WAITING, None, "kill"),
    Transition(Status.RUNNING, Status.COMPLETE, "succeed"),
    Transition(Status.RUNNING, Status.ERROR, "err"),
    Transition(Status.RUNNING, None, "kill"),
    Transition(Status.ERROR, Status.FAILED, "fail"),
    Transition(Status.HOLD, Status.WAITING, "release"),
    Transition(Status.HOLD, None, "kill"),
    Transition(Status.ERROR, None, "kill"),
    Transition(Status.FAILED, None, "kill"),
    Transition(Status.ERROR, Status.WAITING, "retry"),
    Transition(Status.RUNNING, Status.WAITING, "requeue"),
    Transition(Status.FAILED, Status.WAITING, "resubmit"),
    Transition(Status.RUNNING, Status.HOLD, "hold"),
)


def sources(verb: str) -> tuple[Status, ...]:
    """Return the statuses from which `verb` is allowed."""
    allowed = []
    for transition in TRANSITIONS:
        if transition.verb == verb and transition.source is not None:
            allowed.append(transition.source)
    return tuple(allowed)


def verbs(source: Status) -> tuple[str, ...]:
    """Return the verbs that are allowed from `source`, in the order of the table, each once."""
    allowed = []
    for transition in TRANSITIONS:
        if transition.source is source and transition.verb not in allowed:
            allowed.append(transition.verb)
    return tuple(allowed)


class Task(Protocol):
    """The part of a task that `states` needs."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> Status: ...


def states(
    tasks: Sequence[Task], needs: Mapping[str, Sequence[str]]
) -> list[tuple[Status, bool]]:
    """Return a pair for each task: its status, and True if all tasks that it needs are complete."""
    complete = {task.id for task in tasks if task.status is Status.COMPLETE}
    task_states = []
    for task in tasks:
        is_ready = complete.issuperset(needs[task.id])
        task_states.append((task.status, is_ready))
    return task_states


def run_status(tasks: Iterable[tuple[Status, bool]], *, started: bool) -> Status:
    """Return the status of a run, derived from the `states` of its tasks.

    `started` is True if a living worker works on the run. Such a run is RUNNING as long as one of
    its tasks runs or can start. After that, the run is COMPLETE if all its tasks are COMPLETE,
    ERROR if a task is in ERROR, and otherwise HOLD.
    """
    task_states = list(tasks)
    statuses = {status for status, _ in task_states}
    if Status.FAILED in statuses:
        return Status.FAILED
    if statuses <= {Status.COMPLETE}:
        return Status.COMPLETE
    if Status.RUNNING in statuses:
        return Status.RUNNING
    can_start = any(
        status is Status.WAITING and is_ready for status, is_ready in task_states
    )
    if can_start:
        return Status.RUNNING if started else Status.WAITING
    for status in (Status.ERROR, Status.HOLD):
        if status in statuses:
            return status
    return Status.WAITING
