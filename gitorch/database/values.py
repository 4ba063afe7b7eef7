"""The values that callers pass to the queue and receive from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from sqlite3 import Row
from typing import Any, ClassVar

from msgspec import Struct, field

from gitorch.model.run.outcome import Outcome, read_outcome
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import Status

# The resources of a machine on which every task fits.
UNLIMITED = Resources(cpus=1e9, gpus=1 << 30, memory_bytes=1 << 62)

# The tips of the results branch before and after a commit that the queue follows.
Tip = tuple[str | None, str] | None


class NewTask(Struct, frozen=True, kw_only=True):
    """An unfinished task that joins the queue with its run."""

    id: str
    needs: tuple[str, ...]
    status: Status = Status.WAITING
    priority: int = 0
    attempts: int = 0
    outcome: Outcome | None = None
    resources: Resources = field(default_factory=Resources)


class NewRun(Struct, frozen=True, kw_only=True):
    """A run that joins the queue, without its finished tasks.

    `payload` is plain JSON. Each claim of one of the run's tasks returns the payload.
    """

    id: str
    payload: Mapping[str, Any]
    tasks: tuple[NewTask, ...]
    held: bool = False
    begun: bool = False  # an attempt was made at one of its tasks


class Claim(Struct, frozen=True, kw_only=True):
    """A claimed task, with the number and token of its attempt and the payload of its run."""

    run: str
    task: str
    number: int
    token: str
    started: str
    payload: Mapping[str, Any]
    retries: int = 0  # automatic retries before this attempt
    losses: int = 0  # attempts lost in a row before this one
    # The cache key, once this attempt is known to compute it.
    key: str | None = None
    priority: int = 0
    is_fresh: bool = False  # no worker was assigned to the run before this claim
    is_first: bool = False  # no task of the run was claimed before

    @classmethod
    def from_row(cls, row: Row, *, is_first: bool = False) -> Claim:
        return cls(
            run=row["run"],
            task=row["id"],
            number=row["attempts"],
            token=row["token"],
            started=row["started"],
            payload=parse_payload(row["payload"]),
            retries=row["retries"],
            losses=row["losses"],
            key=row["key"],
            priority=row["priority"],
            is_fresh=bool(row["is_fresh"]),
            is_first=is_first,
        )


class Waiting(Struct, frozen=True, kw_only=True):
    """The state of a task that waits to be claimed.

    The task is not claimed before `not_before`, the end of its backoff. It is also not claimed
    while another task computes `key`, the cache key that the task last had.
    """

    status: ClassVar[Status] = Status.WAITING
    not_before: str | None = None
    key: str | None = None
    is_claimed: bool = False  # a worker prepares it


class Running(Struct, frozen=True, kw_only=True):
    """The state of a task with a current attempt: its token, its worker and when it was claimed."""

    status: ClassVar[Status] = Status.RUNNING
    token: str
    worker: str
    started: str
    # The cache key that the attempt computes, once it is known.
    key: str | None = None


class Errored(Struct, frozen=True, kw_only=True):
    """The state of a task whose last attempt failed, with the outcome of this attempt."""

    status: ClassVar[Status] = Status.ERROR
    outcome: Outcome | None


class Held(Struct, frozen=True, kw_only=True):
    """The state of a task that would be WAITING if its run were not held."""

    status: ClassVar[Status] = Status.HOLD


TaskState = Waiting | Running | Errored | Held


class QueuedTask(Struct, frozen=True, kw_only=True):
    """A task in the queue. `attempts` counts the attempts that were begun."""

    run: str
    id: str
    priority: int
    attempts: int
    state: TaskState
    begun: bool = False  # a task of its run was claimed before

    @classmethod
    def from_row(cls, row: Row) -> QueuedTask:
        return cls(
            run=row["run"],
            id=row["id"],
            priority=row["priority"],
            attempts=row["attempts"],
            state=_state(row),
            begun=bool(row["begun"]),
        )

    @property
    def status(self) -> Status:
        return self.state.status


class QueuedRun(Struct, frozen=True, kw_only=True):
    """A run in the queue, with its unfinished tasks in their order."""

    id: str
    worker: str | None  # the worker that is assigned to the run
    held: bool
    tasks: tuple[QueuedTask, ...]

    @classmethod
    def from_row(cls, row: Row, tasks: Iterable[QueuedTask]) -> QueuedRun:
        return cls(
            id=row["id"],
            worker=row["worker"],
            held=bool(row["held"]),
            tasks=tuple(tasks),
        )

    @property
    def is_running(self) -> bool:
        return any(isinstance(task.state, Running) for task in self.tasks)


class Worker(Struct, frozen=True, kw_only=True):
    """A process that claims tasks. A later process with the same pid has another start time."""

    id: str
    host: str
    pid: int
    boot: str
    process_start: str
    since: str


class AttemptEnd(Struct, frozen=True, kw_only=True):
    """The end of an attempt. A task with the `status` COMPLETE leaves the queue."""

    run: str
    task: str
    token: str
    status: Status
    outcome: Outcome
    retries: int = 0
    losses: int = 0
    not_before: str | None = None  # the end of the backoff
    ended: str | None = None  # measured by the clock of `not_before`


def parse_payload(text: str) -> Mapping[str, Any]:
    """Return a payload. It is empty if the text is damaged: the record has the same values."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _outcome(text: str | None) -> Outcome | None:
    """Return the outcome in a row, None if there is none, or if its text is damaged."""
    if text is None:
        return None
    try:
        return read_outcome(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _state(row: Row) -> TaskState:
    match row["status"]:
        case Status.WAITING:
            return Waiting(not_before=row["not_before"], key=row["key"])
        case Status.RUNNING:
            return Running(
                token=row["token"],
                worker=row["worker"],
                started=row["started"],
                key=row["key"],
            )
        case Status.ERROR:
            return Errored(outcome=_outcome(row["outcome"]))
        case Status.HOLD:
            return Held()
    raise AssertionError(
        row["status"]
    )  # the table's CHECK refuses any other status


def amounts(resources: Resources) -> dict[str, float]:
    """Return the parameters of a statement that compares or stores resources."""
    return {
        "cpus": resources.cpus,
        "gpus": resources.gpus,
        "memory": resources.memory_bytes,
    }


def outcome_json(outcome: Outcome | None) -> str | None:
    return json.dumps(outcome.to_json()) if outcome else None
