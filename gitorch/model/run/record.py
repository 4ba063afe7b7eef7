"""The durable account of a run: its history, and the data to make its queue entry again.

`record.json` on the results branch is `Record.to_json()`. Fields are only added, so every record
that was ever written can be read. The size of a record does not depend on the age of its run: the
record has only the last attempt of each task and the newest `HISTORY_KEPT` changes. Every attempt
also has an `attempt.json` of its own, stored beside the record. The environments of all runs are
stored once each, see `environment.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import field
from msgspec.structs import force_setattr, replace

from gitorch.errors import UPGRADE, GitorchError
from gitorch.model.json_struct import JsonStruct, always, empty_mapping
from gitorch.model.numbers import finite, is_finite
from gitorch.model.run.labels import Invalidation, RecordedVerdict
from gitorch.model.run.metrics import Metrics
from gitorch.model.run.outcome import Outcome
from gitorch.model.run.pin import Pin
from gitorch.model.run.record_soundness import require_sound
from gitorch.model.run.spec import RunSpec
from gitorch.model.run.status import Status

SCHEMA = "gitorch/record/v1"
NEWER_SCHEMA = re.compile(r"gitorch/record/v(?!0*1$)[0-9]*[1-9][0-9]*")
HISTORY_KEPT = 50


class RecordBroken(GitorchError):
    """A record that cannot be read. `reason` has the path of the part that is wrong.

    `is_newer` means that the record has a later schema. Such a record is sound, but this version of
    gitorch neither executes nor changes it.
    """

    kind = "record-broken"

    def __init__(self, run_id: str, reason: str, *, is_newer: bool = False) -> None:
        hint = "gitorch doctor says what is wrong, and what to do"
        if is_newer:
            hint = UPGRADE
        super().__init__(
            f"the record of run {run_id} cannot be read: {reason}", hint
        )
        self.run_id = run_id
        self.reason = reason
        self.is_newer = is_newer


class Attempt(JsonStruct, frozen=True, kw_only=True):
    """One try at a task. Times are RFC 3339 in UTC. The monotonic clock measures `duration_s`."""

    number: int
    token: str
    started: str
    ended: str
    duration_s: float
    host: str
    outcome: Outcome
    pin: Pin
    # The number of processes that were left running. They were ended before the outputs were read.
    left_running: int = always(0)
    # The tracked files that the attempt changed. The diff is beside the log.
    modified: tuple[str, ...] = always(())
    notes: tuple[str, ...] = always(())  # what could not be kept, and why
    # How each file of the attempt is stored on the branch, by name: "git" or "lfs". None: an
    # earlier version has not recorded it.
    stored: Mapping[str, str] | None = None
    # `file:line` in the run's code, where the traceback of a failure ends.
    location: str | None = None
    # The SHA-256 of what the attempt ran with. None: it is not known.
    environment_sha256: str | None = None
    # The files outside of the worktree that it read and that are no inputs, or their directories,
    # which end with a `/`.
    undeclared: tuple[str, ...] = ()


class CacheSource(JsonStruct, frozen=True):
    """The run and the task whose results another task reuses."""

    run: str
    task: str


class CacheEntry(JsonStruct, frozen=True, kw_only=True):
    """The cache key of a task, and the source of its results. See `cache.py`.

    The results of a complete task can be reused under `key`. If the task is not complete, all
    outputs that it has written so far were computed under `key`.

    `code`, `before` and `produced` are the SHA-256 of the code, of the outputs of earlier tasks,
    and of the task's own outputs. `code` and `before` are parts of the key. They are kept to
    explain why another key differs. `produced` shows whether the outputs in the run are still those
    that the task wrote. `removed` lists the outputs of other tasks that this task deleted.
    """

    key: str
    code: str
    before: str
    produced: str
    removed: tuple[str, ...] = ()
    # None: the results were computed in this run.
    source: CacheSource | None = always(None, name="from")


class TaskRecord(JsonStruct, frozen=True, kw_only=True):
    """The state and the results of one task.

    `attempts` has only the last attempt. `gitorch show` reads all of them. `earlier_s` are the
    seconds that the other attempts took together.
    """

    id: str
    status: Status
    pin: Pin
    result: Any = always(None)
    metrics: Metrics = field(default_factory=empty_mapping)
    attempt_count: int = always(0)
    attempts: tuple[Attempt, ...] = always(())
    cache: CacheEntry | None = None
    earlier_s: float = 0.0

    @property
    def duration_s(self) -> float | None:
        """Return the seconds that all attempts took together, None if there is no attempt."""
        if not self.attempts:
            return None
        return round(self.earlier_s + self.attempts[-1].duration_s, 6)

    def __post_init__(self) -> None:
        if not all(
            value is None or is_finite(value) for value in self.metrics.values()
        ):
            force_setattr(self, "metrics", finite(self.metrics))


class Output(JsonStruct, frozen=True, kw_only=True):
    """A kept file.

    `path` is relative to the output directory, or begins with `worktree/` if the file was taken
    from the worktree because of `outputs:`.

    `octal_mode` is git's file mode: 100644, 100755, or 120000 for a symbolic link. The `sha256` of
    a symbolic link is that of its target path.
    """

    path: str
    size: int
    sha256: str
    stored: str  # "git" or "lfs"
    task: str  # the task whose attempt left the file in this state
    octal_mode: str = always("100644", name="mode")
    # True if a glob of `volatile` names it: it is not compared.
    volatile: bool = False

    @property
    def mode(self) -> int:
        return int(self.octal_mode, 8)


class Discarded(JsonStruct, frozen=True, kw_only=True):
    """The files of a task that were not kept because one glob of `discard` names them."""

    glob: str
    files: int
    size: int  # bytes, of all files together
    task: str


class Data(JsonStruct, frozen=True, kw_only=True):
    """An input as it was readied: one file, or all `files` of a glob or a directory.

    `sha256` is that of the content. For several files it is that of a list with a line
    `<sha256>  <path>` for each file, in the order of the paths. If the content was not on the
    machine, `sha256` is empty and `digest` is the one in the pointer that stands for the content,
    such as `md5:…`.
    """

    path: str
    size: int  # bytes
    sha256: str
    files: int | None = None  # None: one file
    digest: str = ""

    @property
    def identity(self) -> str:
        """Return the digest by which two inputs are compared."""
        return self.digest or self.sha256


class Change(JsonStruct, frozen=True, kw_only=True):
    """A change of the status of a run, from `source` to `target`. None: the run does not exist."""

    at: str
    source: Status | None = field(name="from")
    target: Status | None = field(name="to")
    by: str
    why: str | None = always(None)


class Hold(JsonStruct, frozen=True, kw_only=True):
    """A stored request that no task of the run starts until the run is released."""

    by: str
    at: str
    why: str | None = always(None)


# The keys of `record.json`, in their order. The values of the `_DERIVED` keys follow from other
# fields. They are repeated for readers of the JSON.
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
    "sorted_at",
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
    "environment_sha256",
    "interpreter",
    "identity",
    "verdicts",
    "invalidations",
    "history",
    "spec",
)
_DERIVED = ("name", "label", "params", "swept", "duration_s", "metrics")


class Record(JsonStruct, frozen=True, kw_only=True):
    """A whole run. Two runs with equal `identity` compute the same (see `identity.py`)."""

    id: str
    spec: RunSpec
    status: Status
    clone: str
    # The config file. Its path is relative to the root of the repository, if it is inside.
    source: str
    pin: Pin
    identity: str
    interpreter: str  # the Python in which the class tasks run
    # The logical output directory, with its placeholders filled in.
    output_name: str | None
    created: str
    tasks: tuple[TaskRecord, ...]
    # The time by which the run is sorted, if it is not `created`. The clocks of the clones, or of
    # one clone at different times, can disagree. A new run is later than all runs on the branch, so
    # it gets a time just after theirs if one of them was created in the future.
    sorted_at: str | None = None
    started: str | None = always(None)
    ended: str | None = always(None)
    rerun_of: str | None = always(None)
    priority: int | None = always(None)  # overrides the priorities of the tasks
    hold: Hold | None = always(None)
    outputs: tuple[Output, ...] = always(())
    discarded: tuple[Discarded, ...] = ()
    data: tuple[Data, ...] = ()
    # The changes that `-S` made to the config, as they were written.
    overrides: tuple[str, ...] = ()
    # The files that the config extends. They are kept in `bases/`, beside the record.
    bases: tuple[str, ...] = ()
    # What the last attempt ran with. In `record.json` it is empty if there is a digest, under which
    # the branch has it. The records of earlier versions have no digest.
    environment: Mapping[str, Any] = field(default_factory=empty_mapping)
    environment_sha256: str | None = None
    # Labels, oldest first. They can be added after the run is over: see `labels.py`.
    verdicts: tuple[RecordedVerdict, ...] = ()
    invalidations: tuple[Invalidation, ...] = ()
    history: tuple[Change, ...] = always(())

    @property
    def hosts(self) -> list[str]:
        """Return the hosts that executed the last attempts of the tasks, in their order."""
        hosts = [task.attempts[-1].host for task in self.tasks if task.attempts]
        return list(dict.fromkeys(hosts))

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
        """Return, for each task, the ids of the tasks that it needs."""
        return {task.id: task.needs for task in self.spec.tasks}

    @property
    def base_files(self) -> dict[str, str]:
        """Return the path at which each of the `bases` is kept, relative to the record."""
        kept_at = {}
        for number, path in enumerate(self.bases, 1):
            name = path.rsplit("/", 1)[-1]
            kept_at[path] = f"bases/{number}-{name}"
        return kept_at

    @property
    def verified(self) -> str | None:
        """Return the newest verdict on a repetition of the run, None if there is no verdict."""
        return self.verdicts[-1].verdict if self.verdicts else None

    @property
    def invalidation(self) -> Invalidation | None:
        """Return the newest invalidation that was not undone, None if there is none."""
        for invalidation in reversed(self.invalidations):
            if invalidation.undone is None:
                return invalidation
        return None

    @property
    def metrics(self) -> Metrics:
        """Return the metrics of all tasks. If two have the same name, the later task's is used."""
        metrics: Metrics = {}
        for task in self.tasks:
            metrics.update(task.metrics)
        return metrics

    @property
    def duration_s(self) -> float | None:
        """Return the seconds that all attempts took together, None if there is no attempt."""
        durations = []
        for task in self.tasks:
            if task.duration_s is not None:
                durations.append(task.duration_s)
        if not durations:
            return None
        return round(sum(durations), 3)

    @property
    def pins(self) -> dict[str, tuple[str, ...]]:
        """Return the commits of the run, newest first, each with the ids of its tasks."""
        pins: dict[str, tuple[str, ...]] = {self.pin.commit: ()}
        for task in reversed(self.tasks):
            pins.setdefault(task.pin.commit, ())
        for task in self.tasks:
            pins[task.pin.commit] += (task.id,)
        return pins

    @property
    def several_pins(self) -> str | None:
        """Return a text that names the tasks at each commit, None if there is only one commit."""
        pins = self.pins
        if len(pins) == 1:
            return None
        parts = []
        for commit, tasks in pins.items():
            parts.append(f"{', '.join(tasks)} at {commit[:12]}")
        return "; ".join(parts)

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
        """Return the record whose JSON this is: the inverse of `to_json`.

        Raises RecordBroken with the path of the part that cannot be read.
        """
        try:
            record = super().from_json(value)
            require_sound(record)
        except (ValueError, OverflowError, RecursionError) as error:
            run_id = "?"
            if isinstance(value, dict):
                run_id = str(value.get("id", "?"))
            raise RecordBroken(run_id, str(error)) from error
        return record


def noted(record: Record, change: Change) -> Record:
    """Return `record` with `change` added to its history, which keeps the newest entries."""
    history = (*record.history, change)
    return replace(record, history=history[-HISTORY_KEPT:])


def in_environment(
    record: Record, environment: Mapping[str, Any], digest: str | None
) -> Record:
    """Return `record` with this environment, or as it is if the environment is not known."""
    if not environment and digest is None:
        return record
    return replace(record, environment=environment, environment_sha256=digest)
