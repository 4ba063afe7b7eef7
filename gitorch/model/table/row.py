"""A row: the part of a run's record that lists and selections need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import field

from gitorch.model.json_struct import JsonStruct, empty_mapping
from gitorch.model.run.metrics import Metrics
from gitorch.model.run.spec import Resources, kind_of
from gitorch.model.run.status import LIVE, Status

if TYPE_CHECKING:
    from gitorch.model.run.record import Hold, Record, TaskRecord
    from gitorch.model.run.spec import TaskSpec


class TaskRow(
    JsonStruct, frozen=True, kw_only=True, array_like=True, omit_defaults=False
):
    """A task of a run that is not over. In JSON it is an array."""

    id: str
    status: Status
    needs: tuple[str, ...] = ()
    resources: Resources | None = None  # None: the task asks for none
    # How the last attempt of a task in ERROR ended, in words.
    failure: str | None = None
    # See `kind_of`; empty in rows of earlier versions.
    kind: str = ""
    steps: int | None = None  # as declared
    ended: str | None = None  # when the last attempt of a task in ERROR ended


_NOT_SHOWN = ("clone", "identity", "sorted_at", "hold", "tasks")


class Row(JsonStruct, frozen=True, kw_only=True, omit_defaults=False):
    """A run in one line of a list.

    Times are RFC 3339 in UTC. Only the row of a run that is not over has `hold` and `tasks`.
    """

    id: str
    name: str
    label: str
    status: Status
    commit: str
    params: Mapping[str, Any]
    swept: tuple[str, ...]
    metrics: Metrics
    created: str
    started: str | None
    ended: str | None
    duration_s: float | None
    clone: str
    identity: str
    rerun_of: str | None = None
    verified: str | None = None  # the newest verdict on a repetition
    invalid: str | None = None  # why its results are not to be trusted
    # The params that `-S` has changed (see `RunSpec.changed`).
    changed: tuple[str, ...] = ()
    # The params of tasks that were swept or changed, by task.
    task_params: Mapping[str, Mapping[str, Any]] = field(
        default_factory=empty_mapping
    )
    # The time by which runs are sorted, if it is not `created` (see `Record.sorted_at`).
    sorted_at: str | None = None
    hold: str | None = None  # who holds it, and why, in words
    tasks: tuple[TaskRow, ...] = ()

    @property
    def all_params(self) -> Mapping[str, Any]:
        """Return the params with those of tasks, which have paths such as `tasks.train.epochs`.

        `tasks` is gitorch's own key, so it is not the name of a parameter.
        """
        if not self.task_params:
            return self.params
        return {**self.params, "tasks": self.task_params}

    @property
    def order(self) -> tuple[str, str]:
        """Return the key that sorts runs, oldest first."""
        return self.sorted_at or self.created, self.id

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the tasks that each task needs."""
        return {task.id: task.needs for task in self.tasks}

    @classmethod
    def of(cls, record: Record) -> Row:
        """Return the row of a record."""
        hold = None
        tasks: tuple[TaskRow, ...] = ()
        invalidation = record.invalidation
        if record.status in LIVE:
            hold = _hold_in_words(record.hold)
            pairs = zip(record.tasks, record.spec.tasks, strict=False)
            tasks = tuple(_task(record, *pair) for pair in pairs)
        return cls(
            id=record.id,
            name=record.name,
            label=record.label,
            status=record.status,
            commit=record.pin.commit,
            params=record.params,
            swept=record.swept,
            metrics=record.metrics,
            created=record.created,
            started=record.started,
            ended=record.ended,
            duration_s=record.duration_s,
            clone=record.clone,
            identity=record.identity,
            rerun_of=record.rerun_of,
            verified=record.verified,
            invalid=None if invalidation is None else invalidation.why,
            changed=record.spec.changed,
            task_params=record.spec.distinctive_of_tasks,
            sorted_at=record.sorted_at,
            hold=hold,
            tasks=tasks,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the row as `gitorch list --json` shows it."""
        shown: dict[str, Any] = super().to_json()
        for name in _NOT_SHOWN:
            del shown[name]
        return shown


class Complete(NamedTuple):
    """A complete task.

    `duration_s` is None if its results were reused from another run, and `key` is None if the task
    is not cached, or if its results are not to be trusted.
    """

    task: str
    duration_s: float | None
    ended: str | None
    key: str | None
    host: str | None = None
    kind: str = ""  # see `kind_of`


def complete_tasks(record: Record) -> list[Complete]:
    """Return the complete tasks of a record."""
    complete = []
    for task, spec in zip(record.tasks, record.spec.tasks, strict=False):
        if task.status is not Status.COMPLETE:
            continue
        key = None
        is_reused = False
        if task.cache is not None:
            key = None if record.invalidation else task.cache.key
            is_reused = task.cache.source is not None
        duration_s = ended = host = None
        if task.attempts:
            last = task.attempts[-1]
            duration_s = None if is_reused else last.duration_s
            ended = last.ended
            host = last.host
        kind = kind_of(record.spec, spec)
        complete.append(Complete(task.id, duration_s, ended, key, host, kind))
    return complete


def _task(record: Record, task: TaskRecord, spec: TaskSpec) -> TaskRow:
    failure = ended = None
    if task.status is Status.ERROR:
        failure = "it failed"
        if task.attempts:
            failure = str(task.attempts[-1].outcome)
            ended = task.attempts[-1].ended
    resources = spec.resources
    return TaskRow(
        id=task.id,
        status=task.status,
        needs=spec.needs,
        resources=None if resources == Resources() else resources,
        failure=failure,
        kind=kind_of(record.spec, spec),
        steps=spec.steps,
        ended=ended,
    )


def _hold_in_words(hold: Hold | None) -> str | None:
    if hold is None:
        return None
    why = f": {hold.why}" if hold.why else ""
    return f"held by {hold.by}{why}"
