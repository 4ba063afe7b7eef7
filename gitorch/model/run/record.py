"""The durable account of a run: what happened, and what is needed to make its queue entry again.

`record.json` on the results branch is `Record.to_json()`. Fields are only added, so every record
that was ever written can be read. The size of a record does not depend on the age of its run: it
has the last attempt of each task and the newest `HISTORY_KEPT` changes. The earlier attempts are
beside it, one `attempt.json` each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, field
from msgspec.structs import replace

from gitorch.errors import GitorchError
from gitorch.model.json_struct import JsonStruct, always, empty_mapping
from gitorch.model.run.metrics import Metrics
from gitorch.model.run.outcome import Outcome
from gitorch.model.run.pin import Pin
from gitorch.model.run.spec import RunSpec
from gitorch.model.run.status import Status

SCHEMA = "gitorch/record/v1"
HISTORY_KEPT = 50


class RecordBroken(GitorchError):
    """A record that cannot be read. `reason` has the path of the part that is wrong."""

    kind = "record-broken"

    def __init__(self, run_id: str, reason: str) -> None:
        super().__init__(
            f"the record of run {run_id} cannot be read: {reason}",
            hint="gitorch doctor lists the records that cannot be read",
        )
        self.reason = reason


class Attempt(JsonStruct, frozen=True, kw_only=True):
    """One try at a task. Times are RFC 3339 in UTC, `duration_s` is by the monotonic clock."""

    number: int
    token: str
    started: str
    ended: str
    duration_s: float
    host: str
    outcome: Outcome
    pin: Pin
    left_running: int = always(
        0
    )  # processes that it left, ended before its outputs were read
    modified: tuple[str, ...] = always(
        ()
    )  # tracked files it changed; the diff is beside the log
    notes: tuple[str, ...] = always(())  # what could not be kept, and why


class CacheSource(JsonStruct, frozen=True):
    """The run and the task that computed results which another task was given."""

    run: str
    task: str


class CacheEntry(JsonStruct, frozen=True, kw_only=True):
    """The key under which the results of a complete task can be reused, and where they are from.

    For a task that is not complete it says that all outputs which the task has left so far were
    computed under this key. See `cache.py`. `code`, `before` and `produced` are SHA-256 of the
    code, of the outputs of the tasks before this one, and of the task's own outputs. `code` and
    `before` are parts of the key, kept to explain why another key differs. `produced` tells whether
    the outputs of the run still are what the task left. `removed` are outputs of other tasks that
    this task deleted.
    """

    key: str
    code: str
    before: str
    produced: str
    removed: tuple[str, ...] = ()
    source: CacheSource | None = always(
        None, name="from"
    )  # None: computed in this run


class TaskRecord(JsonStruct, frozen=True, kw_only=True):
    """What happened to one task. `attempts` is the last one; `show` gathers all of them."""

    id: str
    status: Status
    pin: Pin
    result: Any = always(None)
    metrics: Metrics = field(default_factory=empty_mapping)
    attempt_count: int = always(0)
    attempts: tuple[Attempt, ...] = always(())
    cache: CacheEntry | None = None


class Output(JsonStruct, frozen=True, kw_only=True):
    """A kept file.

    `path` is in the output directory, or below `worktree/` if `outputs:` took it from the worktree.

    `octal_mode` is git's file mode: 100644, 100755, or 120000 for a symbolic link, whose `sha256`
    is of the target.
    """

    path: str
    size: int
    sha256: str
    stored: str  # "git" or "lfs"
    task: str  # the task after whose attempt the file was found as it is
    octal_mode: str = always("100644", name="mode")

    @property
    def mode(self) -> int:
        return int(self.octal_mode, 8)


class Discarded(JsonStruct, frozen=True, kw_only=True):
    """Files that a task wrote and that were not kept, by the glob of `discard` that names them."""

    glob: str
    files: int
    size: int  # bytes, of all files together
    task: str


class Data(JsonStruct, frozen=True, kw_only=True):
    """An input as it was readied: one file, or all `files` of a glob or a directory.

    `sha256` is of the content. For several files it is of the lines `<sha256>  <path>` in the order
    of the paths.
    """

    path: str
    size: int  # bytes
    sha256: str
    files: int | None = None  # None: one file


class Change(JsonStruct, frozen=True, kw_only=True):
    """A change of the status of a run, from `source` to `target`; None: the run did not exist."""

    at: str
    source: Status | None = field(name="from")
    target: Status | None = field(name="to")
    by: str
    why: str | None = always(None)


class Hold(JsonStruct, frozen=True, kw_only=True):
    """No task of the run starts until the run is released."""

    by: str
    at: str
    why: str | None = always(None)


# The keys of `record.json`, in their order. The `_DERIVED` ones repeat what is in other fields, for
# readers of the JSON.
_KEYS = (
    "schema",
    "id",
    "name",
    "label",
    "status",
    "clone",
    "source",
    "pin",
    "params",
    "swept",
    "created",
    "started",
    "ended",
    "duration_s",
    "rerun_of",
    "priority",
    "hold",
    "metrics",
    "tasks",
    "outputs",
    "discarded",
    "data",
    "overrides",
    "bases",
    "output_name",
    "environment",
    "interpreter",
    "identity",
    "history",
    "spec",
)
_DERIVED = ("name", "label", "params", "swept", "duration_s", "metrics")


class Record(JsonStruct, frozen=True, kw_only=True):
    """A whole run. `identity` tells whether two runs would be the same run (see `identity.py`)."""

    id: str
    spec: RunSpec
    status: Status
    clone: str
    source: str  # the config file; relative to the root of the repository, if it is inside
    pin: Pin
    identity: str
    interpreter: str  # the Python in which the class tasks run
    output_name: (
        str | None
    )  # the logical output directory, its placeholders filled in
    created: str
    tasks: tuple[TaskRecord, ...]
    started: str | None = always(None)
    ended: str | None = always(None)
    rerun_of: str | None = always(None)
    priority: int | None = always(None)  # replaces the priorities of the tasks
    hold: Hold | None = always(None)
    outputs: tuple[Output, ...] = always(())
    discarded: tuple[Discarded, ...] = ()
    data: tuple[Data, ...] = ()
    overrides: tuple[
        str, ...
    ] = ()  # the changes that `-S` made to the config, as they were given
    bases: tuple[
        str, ...
    ] = ()  # the files that the config extends, kept beside it in `bases/`
    environment: Mapping[str, Any] = field(default_factory=empty_mapping)
    history: tuple[Change, ...] = always(())

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def params(self) -> dict[str, Any]:
        return self.spec.params

    @property
    def swept(self) -> tuple[str, ...]:
        return self.spec.swept

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the tasks that each task needs."""
        return {task.id: task.needs for task in self.spec.tasks}

    @property
    def base_files(self) -> dict[str, str]:
        """Return the path at which each of the `bases` is kept, relative to the record."""
        return {
            path: f"bases/{number}-{path.rsplit('/', 1)[-1]}"
            for number, path in enumerate(self.bases, 1)
        }

    @property
    def metrics(self) -> Metrics:
        """Return the metrics of all tasks. Of two with one name, the later task's counts."""
        return {
            name: value
            for task in self.tasks
            for name, value in task.metrics.items()
        }

    @property
    def duration_s(self) -> float | None:
        """Return the seconds that the last attempts took together, None if there is no attempt."""
        durations = [
            task.attempts[-1].duration_s for task in self.tasks if task.attempts
        ]
        return round(sum(durations), 3) if durations else None

    @property
    def pins(self) -> dict[str, tuple[str, ...]]:
        """Return the commits of the run, newest first, with the ids of the tasks at each commit."""
        pins: dict[str, tuple[str, ...]] = {self.pin.commit: ()}
        for task in reversed(self.tasks):
            pins.setdefault(task.pin.commit, ())
        for task in self.tasks:
            pins[task.pin.commit] += (task.id,)
        return pins

    @property
    def several_pins(self) -> str | None:
        """Return in words which tasks are at which commit, None if all are at one commit."""
        pins = self.pins
        if len(pins) == 1:
            return None
        return "; ".join(
            f"{', '.join(tasks)} at {commit[:12]}" for commit, tasks in pins.items()
        )

    def task(self, task_id: str) -> TaskRecord:
        return next(task for task in self.tasks if task.id == task_id)

    def to_json(self) -> dict[str, Any]:
        """Return `record.json` as plain JSON values. Sequences are tuples."""
        values: dict[str, Any] = {"schema": SCHEMA, **super().to_json()}
        for name in _DERIVED:
            values[name] = getattr(self, name)
        return {key: values[key] for key in _KEYS if key in values}

    @classmethod
    def from_json(cls, value: Any) -> Record:
        """Return the record that `to_json` was called on.

        Raises RecordBroken with the path of the part that cannot be read.
        """
        try:
            record = super().from_json(value)
            _require_specified_tasks(record)
        except ValidationError as error:
            run_id = value.get("id", "?") if isinstance(value, dict) else "?"
            raise RecordBroken(run_id, str(error)) from error
        return record


def _require_specified_tasks(record: Record) -> None:
    """Raise ValidationError if the tasks are not those of the spec."""
    recorded = [task.id for task in record.tasks]
    if recorded != [task.id for task in record.spec.tasks]:
        raise ValidationError("Expected the tasks of `$.spec.tasks` - at `$.tasks`")


def noted(record: Record, change: Change) -> Record:
    """Return `record` with `change` added to its history."""
    return replace(record, history=(*record.history, change)[-HISTORY_KEPT:])
