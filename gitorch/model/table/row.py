"""A run in one line of a list: as much of its record as lists, selections and the overlay of the queue need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gitorch.model.json_struct import JsonStruct
from gitorch.model.run.metrics import Metrics
from gitorch.model.run.outcome import read_outcome
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import LIVE, Status


class TaskRow(JsonStruct, frozen=True, kw_only=True, array_like=True, omit_defaults=False):
    """A task of a run that is not over; an array in JSON."""

    id: str
    status: Status
    needs: tuple[str, ...] = ()
    resources: Resources | None = None  # None: it counts none
    failure: str | None = None  # how the last attempt ended, in words, of a task in ERROR


_NOT_SHOWN = ("clone", "identity", "hold", "tasks")


class Row(JsonStruct, frozen=True, kw_only=True, omit_defaults=False):
    """Times are RFC 3339 in UTC. `tasks` and `hold` are told of runs that are not over; the others have none."""

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
    hold: str | None = None  # by whom it is held, and why, in words
    tasks: tuple[TaskRow, ...] = ()

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the tasks that each task needs."""
        return {task.id: task.needs for task in self.tasks}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Row:
        """The row of a record, given as JSON: what many are read for need not be parsed whole."""
        status = Status(record["status"])
        live = status in LIVE
        return cls(
            id=record["id"],
            name=record["name"],
            label=record["label"],
            status=status,
            commit=record["pin"]["commit"],
            params=record["params"],
            swept=tuple(record["swept"]),
            metrics=record["metrics"],
            created=record["created"],
            started=record["started"],
            ended=record["ended"],
            duration_s=record["duration_s"],
            clone=record["clone"],
            identity=record["identity"],
            hold=_held(record["hold"]) if live and record["hold"] else None,
            tasks=tuple(map(_task, record["tasks"], record["spec"]["tasks"])) if live else (),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the row as `gitorch list --json` shows it."""
        shown: dict[str, Any] = super().to_json()
        for name in _NOT_SHOWN:
            del shown[name]
        return shown


class Complete(NamedTuple):
    """A complete task: how long it took, if it was computed in this run, when it ended, and its key of the cache."""

    task: str
    duration_s: float | None
    ended: str | None
    key: str | None


def complete_tasks(record: Mapping[str, Any]) -> list[Complete]:
    """Of a record, given as JSON."""
    found = []
    for task in record["tasks"]:
        if task["status"] == Status.COMPLETE:
            last = task["attempts"][-1] if task["attempts"] else {}
            cache = task.get("cache") or {}
            took = None if cache.get("from") else last.get("duration_s")
            found.append(Complete(task["id"], took, last.get("ended"), cache.get("key")))
    return found


def _task(record: Mapping[str, Any], spec: Mapping[str, Any]) -> TaskRow:
    status = Status(record["status"])
    asked = spec.get("resources")
    failure = "it failed"
    if record["attempts"]:
        failure = str(read_outcome(record["attempts"][-1]["outcome"]))
    return TaskRow(
        id=record["id"],
        status=status,
        needs=tuple(spec["needs"]),
        resources=Resources.from_json(asked) if asked and any(asked.values()) else None,
        failure=failure if status is Status.ERROR else None,
    )


def _held(hold: Mapping[str, Any]) -> str:
    return f"held by {hold['by']}" + (f": {hold['why']}" if hold["why"] else "")
