"""A row: the part of a run's record that lists and selections need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gitorch.model.json_struct import JsonStruct, from_builtins
from gitorch.model.run.metrics import Metrics
from gitorch.model.run.outcome import read_outcome
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import LIVE, Status


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
    # The time by which runs are sorted, if it is not `created` (see `Record.sorted_at`).
    sorted_at: str | None = None
    hold: str | None = None  # who holds it, and why, in words
    tasks: tuple[TaskRow, ...] = ()

    @property
    def order(self) -> tuple[str, str]:
        """Return the key that sorts runs, oldest first."""
        return self.sorted_at or self.created, self.id

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the tasks that each task needs."""
        return {task.id: task.needs for task in self.tasks}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Row:
        """Return the row of a record that is given as JSON.

        Raises ValueError, LookupError, TypeError or AttributeError if the record is broken.
        Only the parts that a row needs are parsed, since many records are read at once.
        """
        status = Status(record["status"])
        hold = None
        tasks: tuple[TaskRow, ...] = ()
        if status in LIVE:
            hold = _hold_in_words(record["hold"])
            tasks = tuple(map(_task, record["tasks"], record["spec"]["tasks"]))
        return cls.from_json(
            {
                "id": record["id"],
                "name": record["name"],
                "label": record["label"],
                "status": status,
                "commit": record["pin"]["commit"],
                "params": record["params"],
                "swept": record["swept"],
                "metrics": record["metrics"],
                "created": record["created"],
                "started": record["started"],
                "ended": record["ended"],
                "duration_s": record["duration_s"],
                "clone": record["clone"],
                "identity": record["identity"],
                "rerun_of": record.get("rerun_of"),
                "sorted_at": record.get("sorted_at"),
                "hold": hold,
                "tasks": tasks,
            }
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
    is not cached.
    """

    task: str
    duration_s: float | None
    ended: str | None
    key: str | None


def complete_tasks(record: Mapping[str, Any]) -> list[Complete]:
    """Return the complete tasks of a record that is given as JSON. Raises what `Row.of` raises."""
    complete = []
    for task in record["tasks"]:
        if task["status"] != Status.COMPLETE:
            continue
        last_attempt = task["attempts"][-1] if task["attempts"] else {}
        cache = task.get("cache") or {}
        duration_s = None if cache.get("from") else last_attempt.get("duration_s")
        ended = last_attempt.get("ended")
        values = (task["id"], duration_s, ended, cache.get("key"))
        complete.append(from_builtins(values, Complete))
    return complete


def _task(record: Mapping[str, Any], spec: Mapping[str, Any]) -> TaskRow:
    status = Status(record["status"])
    resources = spec.get("resources")
    failure = None
    if status is Status.ERROR:
        failure = "it failed"
        if record["attempts"]:
            failure = str(read_outcome(record["attempts"][-1]["outcome"]))
    return TaskRow(
        id=record["id"],
        status=status,
        needs=tuple(spec["needs"]),
        resources=_resources(resources) if resources else None,
        failure=failure,
    )


def _resources(resources: Mapping[str, Any]) -> Resources | None:
    return Resources.from_json(resources) if any(resources.values()) else None


def _hold_in_words(hold: Mapping[str, Any] | None) -> str | None:
    if not hold:
        return None
    why = f": {hold['why']}" if hold["why"] else ""
    return f"held by {hold['by']}{why}"
