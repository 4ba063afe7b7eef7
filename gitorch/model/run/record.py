"""The durable account of a run: everything that happened, and everything needed to make its queue entry again.

`record.json` on the results branch is `Record.to_json()`. Fields are only ever added, so whatever was written once
can be read for ever. To keep its size independent of a run's age it holds the last attempt of each task and the
newest `HISTORY_KEPT` changes; the earlier attempts lie beside it, one `attempt.json` each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from gitorch.model.run.outcome import Outcome
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import RunSpec, TaskSpec, given
from gitorch.model.run.status import Status

SCHEMA = "gitorch/record/v1"
HISTORY_KEPT = 50


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at a task. Times are RFC 3339 in UTC; `duration_s` is measured by the monotonic clock."""

    number: int
    token: str
    started: str
    ended: str
    duration_s: float
    host: str
    outcome: Outcome
    pin: Pin
    left_running: int = 0  # processes it left behind, ended before its outputs were read
    modified: tuple[str, ...] = ()  # tracked files it changed; the diff lies beside the log
    notes: tuple[str, ...] = ()  # what could not be kept, and why

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "token": self.token,
            "started": self.started,
            "ended": self.ended,
            "duration_s": self.duration_s,
            "host": self.host,
            "outcome": self.outcome.to_json(),
            "pin": self.pin.to_json(),
            "left_running": self.left_running,
            "modified": list(self.modified),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Attempt:
        return cls(
            number=value["number"],
            token=value["token"],
            started=value["started"],
            ended=value["ended"],
            duration_s=value["duration_s"],
            host=value["host"],
            outcome=Outcome.from_json(value["outcome"]),
            pin=Pin.from_json(value["pin"]),
            left_running=value["left_running"],
            modified=tuple(value["modified"]),
            notes=tuple(value["notes"]),
        )


class CacheSource(NamedTuple):
    """The run and its task that computed what another one was given."""

    run: str
    task: str


class CacheEntry(Struct, frozen=True, kw_only=True):
    """Under what `key` the results of a task are found again once it is complete, and whose they were first.

    Of a task that is not it says that all it has left so far was computed under this key. See `cache.py`.
    `code` and `before` are parts of the key, kept so that another key can be explained; `produced` tells whether the
    run's outputs still are what the task left: all three SHA-256, of code, of the outputs of the tasks before it, and
    of its own. `removed` are outputs of others that it deleted.
    """

    key: str
    code: str
    before: str
    produced: str
    removed: tuple[str, ...] = ()
    source: CacheSource | None = None  # None: it was computed in this run

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "code": self.code,
            "before": self.before,
            "produced": self.produced,
            **given({"removed": list(self.removed)}),
            "from": self.source and self.source._asdict(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CacheEntry:
        return cls(
            key=value["key"],
            code=value["code"],
            before=value["before"],
            produced=value["produced"],
            removed=tuple(value.get("removed", ())),
            source=CacheSource(**value["from"]) if value["from"] else None,
        )


class TaskRecord(Struct, frozen=True, kw_only=True):
    """What became of one task. `attempts` is the last one, or all of them where they were gathered for `show`."""

    spec: TaskSpec
    status: Status
    pin: Pin
    result: Any = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    attempt_count: int = 0
    attempts: tuple[Attempt, ...] = ()
    cache: CacheEntry | None = None

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def needs(self) -> tuple[str, ...]:
        return self.spec.needs

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": str(self.status),
            "pin": self.pin.to_json(),
            "result": self.result,
            "metrics": dict(self.metrics),
            "attempt_count": self.attempt_count,
            "attempts": [attempt.to_json() for attempt in self.attempts],
            **({"cache": self.cache.to_json()} if self.cache else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], spec: TaskSpec) -> TaskRecord:
        return cls(
            spec=spec,
            status=Status(value["status"]),
            pin=Pin.from_json(value["pin"]),
            result=value["result"],
            metrics=value["metrics"],
            attempt_count=value["attempt_count"],
            attempts=tuple(Attempt.from_json(attempt) for attempt in value["attempts"]),
            cache=CacheEntry.from_json(value["cache"]) if value.get("cache") else None,
        )


class Output(Struct, frozen=True, kw_only=True):
    """A kept file: `path` in the output directory, or under `worktree/` what `outputs:` took from the worktree."""

    path: str
    size: int
    sha256: str
    stored: str  # "git" or "lfs"
    task: str  # whose attempt's end found it as it is
    mode: int = 0o100644  # git's file mode: 100644, 100755 or 120000 (a symbolic link, `sha256` is of its target)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "stored": self.stored,
            "task": self.task,
            "mode": f"{self.mode:o}",
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Output:
        return cls(
            path=value["path"],
            size=value["size"],
            sha256=value["sha256"],
            stored=value["stored"],
            task=value["task"],
            mode=int(value["mode"], 8),
        )


class Discarded(Struct, frozen=True, kw_only=True):
    """Files that a task wrote and that were left out of the record, by the glob of `discard` that says so."""

    glob: str
    files: int
    size: int  # bytes, of all of them
    task: str

    def to_json(self) -> dict[str, Any]:
        return {"glob": self.glob, "files": self.files, "size": self.size, "task": self.task}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Discarded:
        return cls(glob=value["glob"], files=value["files"], size=value["size"], task=value["task"])


class Data(Struct, frozen=True, kw_only=True):
    """An input as it was when the run was readied: a file, or all the `files` that a glob or a directory stands for.

    `sha256` is of the content; of several files, of the lines `<sha256>  <path>` in the order of the paths.
    """

    path: str
    size: int  # bytes
    sha256: str
    files: int | None = None  # None: it is one file

    def to_json(self) -> dict[str, Any]:
        several = {} if self.files is None else {"files": self.files}
        return {"path": self.path, "size": self.size, "sha256": self.sha256, **several}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Data:
        return cls(
            path=value["path"], size=value["size"], sha256=value["sha256"], files=value.get("files")
        )


class Change(Struct, frozen=True, kw_only=True):
    """One entry of a run's history: its status went from `source` to `target` (None: it was not there)."""

    at: str
    source: Status | None
    target: Status | None
    by: str
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "from": self.source and str(self.source),
            "to": self.target and str(self.target),
            "by": self.by,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Change:
        return cls(
            at=value["at"],
            source=Status(value["from"]) if value["from"] else None,
            target=Status(value["to"]) if value["to"] else None,
            by=value["by"],
            why=value["why"],
        )


class Hold(Struct, frozen=True, kw_only=True):
    """Nothing of the run is begun until it is released."""

    by: str
    at: str
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"by": self.by, "at": self.at, "why": self.why}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Hold:
        return cls(by=value["by"], at=value["at"], why=value["why"])


class Record(Struct, frozen=True, kw_only=True):
    """A run, whole. `identity` tells whether two runs would be the same run (see `identity.py`)."""

    id: str
    spec: RunSpec
    status: Status
    clone: str
    source: str  # the config file: relative to the repository's root where it lies inside
    pin: Pin
    identity: str
    interpreter: str  # the Python that its class tasks run in
    output_name: str | None  # the logical output directory, placeholders filled in
    created: str
    tasks: tuple[TaskRecord, ...]
    started: str | None = None
    ended: str | None = None
    rerun_of: str | None = None
    priority: int | None = None  # in place of its tasks' own
    hold: Hold | None = None
    outputs: tuple[Output, ...] = ()
    discarded: tuple[Discarded, ...] = ()
    data: tuple[Data, ...] = ()
    overrides: tuple[str, ...] = ()  # what `-S` changed in the config, as it was given
    bases: tuple[str, ...] = ()  # the files that the config extends, kept beside it under `bases/`
    environment: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def base_files(self) -> dict[str, str]:
        """Where each of the `bases` is kept, relative to the record."""
        return {
            path: f"bases/{number}-{path.rsplit('/', 1)[-1]}"
            for number, path in enumerate(self.bases, 1)
        }

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics of all tasks; of one name the later task's value."""
        return {name: value for task in self.tasks for name, value in task.metrics.items()}

    @property
    def duration_s(self) -> float | None:
        """The time spent in the last attempts of its tasks, in seconds."""
        spent = [attempt.duration_s for task in self.tasks for attempt in task.attempts[-1:]]
        return round(sum(spent), 3) if spent else None

    @property
    def pins(self) -> dict[str, tuple[str, ...]]:
        """The commits that its tasks ran at, or are to run at, and which: the newest first, most often the only one."""
        commits = dict.fromkeys(
            (self.pin.commit, *(task.pin.commit for task in reversed(self.tasks)))
        )
        return {
            commit: tuple(task.id for task in self.tasks if task.pin.commit == commit)
            for commit in commits
        }

    @property
    def several_pins(self) -> str | None:
        """Which tasks are at which commit, in words; None where all are at one."""
        if len(self.pins) == 1:
            return None
        return "; ".join(
            f"{', '.join(tasks)} at {commit[:12]}" for commit, tasks in self.pins.items()
        )

    def task(self, task_id: str) -> TaskRecord:
        return next(task for task in self.tasks if task.id == task_id)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "id": self.id,
            "name": self.name,
            "label": self.label,
            "status": str(self.status),
            "clone": self.clone,
            "source": self.source,
            "pin": self.pin.to_json(),
            "params": self.spec.params,
            "swept": list(self.spec.swept),
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "duration_s": self.duration_s,
            "rerun_of": self.rerun_of,
            "priority": self.priority,
            "hold": self.hold and self.hold.to_json(),
            "metrics": self.metrics,
            "tasks": [task.to_json() for task in self.tasks],
            "outputs": [output.to_json() for output in self.outputs],
            **given({"discarded": [found.to_json() for found in self.discarded]}),
            **given({"data": [data.to_json() for data in self.data]}),
            **given({"overrides": list(self.overrides), "bases": list(self.bases)}),
            "output_name": self.output_name,
            "environment": dict(self.environment),
            "interpreter": self.interpreter,
            "identity": self.identity,
            "history": [change.to_json() for change in self.history],
            "spec": self.spec.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        spec = RunSpec.from_json(value["spec"])
        return cls(
            id=value["id"],
            spec=spec,
            status=Status(value["status"]),
            clone=value["clone"],
            source=value["source"],
            pin=Pin.from_json(value["pin"]),
            identity=value["identity"],
            interpreter=value["interpreter"],
            output_name=value["output_name"],
            created=value["created"],
            tasks=tuple(
                TaskRecord.from_json(task, task_spec)
                for task, task_spec in zip(value["tasks"], spec.tasks, strict=True)
            ),
            started=value["started"],
            ended=value["ended"],
            rerun_of=value["rerun_of"],
            priority=value["priority"],
            hold=Hold.from_json(value["hold"]) if value["hold"] else None,
            outputs=tuple(Output.from_json(output) for output in value["outputs"]),
            discarded=tuple(Discarded.from_json(found) for found in value.get("discarded", ())),
            data=tuple(Data.from_json(data) for data in value.get("data", ())),
            overrides=tuple(value.get("overrides", ())),
            bases=tuple(value.get("bases", ())),
            environment=value["environment"],
            history=tuple(Change.from_json(change) for change in value["history"]),
        )


def noted(record: Record, change: Change) -> Record:
    """`record` with one more change in its history."""
    return replace(record, history=(*record.history, change)[-HISTORY_KEPT:])
