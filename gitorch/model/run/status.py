"""The states of a task and of a run, and the only ways from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Status(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ERROR = "ERROR"
    FAILED = "FAILED"
    HOLD = "HOLD"


# What the queue's `tasks` table may hold: a finished task leaves it.
QUEUED = (Status.WAITING, Status.RUNNING, Status.ERROR, Status.HOLD)
LIVE = frozenset(QUEUED)


class Transition(NamedTuple):
    """A permitted change. `source` None: the run was not there before; `target` None: it is gone (killed)."""

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
    Transition(Status.ERROR, Status.WAITING, "retry"),
    Transition(Status.RUNNING, Status.WAITING, "requeue"),
    Transition(Status.FAILED, Status.WAITING, "resubmit"),
    Transition(Status.RUNNING, Status.HOLD, "hold"),
)


def sources(verb: str) -> tuple[Status, ...]:
    """The statuses from which `verb` is allowed."""
    return tuple(
        move.source for move in TRANSITIONS if move.verb == verb and move.source is not None
    )


def verbs(source: Status) -> tuple[str, ...]:
    """What can be done from `source`, in the order of the table, each verb once."""
    return tuple(dict.fromkeys(move.verb for move in TRANSITIONS if move.source is source))


class Task(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def status(self) -> Status: ...


def states(tasks: Sequence[Task], needs: Mapping[str, Sequence[str]]) -> list[tuple[Status, bool]]:
    """Return the status of each task, and True if all tasks that it `needs` are complete, so that it can start."""
    complete = {task.id for task in tasks if task.status is Status.COMPLETE}
    return [(task.status, complete.issuperset(needs[task.id])) for task in tasks]


def run_status(tasks: Iterable[tuple[Status, bool]], *, started: bool) -> Status:
    """A run's status, derived from the `states` of its tasks.

    `started` says whether a living worker has the run in hand: such a run is RUNNING until none of its tasks runs or
    can go on. Then it is COMPLETE, else ERROR if a task is, else HOLD.
    """
    states = list(tasks)
    found = {status for status, _ in states}
    if Status.FAILED in found:
        return Status.FAILED
    if found <= {Status.COMPLETE}:
        return Status.COMPLETE
    if Status.RUNNING in found:
        return Status.RUNNING
    can_go_on = any(status is Status.WAITING and ready for status, ready in states)
    if can_go_on:
        return Status.RUNNING if started else Status.WAITING
    if Status.ERROR in found:
        return Status.ERROR
    return Status.HOLD if Status.HOLD in found else Status.WAITING
