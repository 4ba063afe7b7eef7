"""A run in one line of a list: as much of its record as lists, selections and the overlay of the queue need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.model.run.outcome import Outcome
from gitorch.model.run.spec import Resources
from gitorch.model.run.status import LIVE, Status


class TaskRow(Struct, frozen=True, kw_only=True):
    """A task of a run that is not over."""

    id: str
    status: Status
    needs: tuple[str, ...] = ()
    resources: Resources | None = None  # None: it counts none
    failure: str | None = None  # how the last attempt ended, in words, of a task in ERROR

    def to_json(self) -> list[Any]:
        resources = self.resources and self.resources.to_json()
        return [self.id, str(self.status), self.needs, resources, self.failure]

    @classmethod
    def from_json(cls, value: list[Any]) -> TaskRow:
        name, status, needs, resources, failure = value
        return cls(
            id=name,
            status=Status(status),
            needs=tuple(needs),
            resources=resources and Resources.from_json(resources),
            failure=failure,
        )


class Row(Struct, frozen=True, kw_only=True):
    """Times are RFC 3339 in UTC. `tasks` and `hold` are told of runs that are not over; the others have none."""

    id: str
    name: str
    label: str
    status: Status
    commit: str
    params: Mapping[str, Any]
    swept: tuple[str, ...]
    metrics: Mapping[str, float | None]
    created: str
    started: str | None
    ended: str | None
    duration_s: float | None
    clone: str
    identity: str
    hold: str | None = None  # by whom it is held, and why, in words
    tasks: tuple[TaskRow, ...] = ()

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
        """As `gitorch list --json` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "label": self.label,
            "status": str(self.status),
            "commit": self.commit,
            "params": self.params,
            "swept": list(self.swept),
            "metrics": self.metrics,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "duration_s": self.duration_s,
        }


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
        failure = str(Outcome.from_json(record["attempts"][-1]["outcome"]))
    return TaskRow(
        id=record["id"],
        status=status,
        needs=tuple(spec["needs"]),
        resources=Resources.from_json(asked) if asked and any(asked.values()) else None,
        failure=failure if status is Status.ERROR else None,
    )


def _held(hold: Mapping[str, Any]) -> str:
    return f"held by {hold['by']}" + (f": {hold['why']}" if hold["why"] else "")
