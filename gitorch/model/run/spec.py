"""What a config asks for, resolved: the values that are pinned, queued and recorded.

A spec holds everything needed to make a queue entry again, so the record contains the whole spec.
Fields are only added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import field

from gitorch.model.json_struct import JsonStruct, always, empty_mapping
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.model.text.keys import target_of
from gitorch.model.values import value_at

# The top-level keys of a config that are gitorch's own; every other key is a parameter.
OWN_KEYS = frozenset(
    {
        "githubRepository",
        "pathToTasks",
        "outputDir",
        "tasks",
        "gitorch",
        "overwriteOutputFine",
        "UNSAFE_ignoreDirtyCheck",
    }
)
# The keys of a task that are gitorch's own; every other key is a parameter of that task.
OWN_TASK_KEYS = frozenset({"id", "method", "command", "needs", "gitorch"})

# The outcomes after which a task can be retried automatically: errors after it had started.
RETRIABLE = (
    OutcomeKind.EXIT_CODE,
    OutcomeKind.SIGNAL,
    OutcomeKind.TIMEOUT,
    OutcomeKind.OUT_OF_MEMORY,
)


class Retries(JsonStruct, frozen=True, kw_only=True):
    """At most `max` automatic retries, after outcomes of the kinds `on`, `backoff_s` later."""

    max: int
    on: tuple[OutcomeKind, ...] = always(RETRIABLE)
    backoff_s: float = always(0.0)


class Resources(JsonStruct, frozen=True, kw_only=True):
    """What a task takes of its machine while it runs. 0: the resource is not counted."""

    cpus: float = always(0.0)
    gpus: int = always(0)
    memory_bytes: int = always(0)


class Cache(JsonStruct, frozen=True, kw_only=True):
    """What results depend on. None means everything: all parameters, or the whole tree."""

    params: tuple[str, ...] | None = always(None)  # dotted, as a task sees them
    code: tuple[str, ...] | None = always(
        None
    )  # globs, relative to the root of the repository
    inputs: tuple[str, ...] = always(())  # paths and globs, like the task's own


class TaskSpec(JsonStruct, frozen=True, kw_only=True):
    """One task: a `method` (class in Tasks.py) or a `command` (string for a shell, or argv).

    Paths and globs of `inputs` are absolute or relative to the root of the repository. Globs of
    `outputs` are relative to the root of the worktree, those of `discard` and files of `metrics` to
    the output directory.
    """

    id: str
    method: str | None = always(None)
    command: str | tuple[str, ...] | None = always(
        None
    )  # as written, with its placeholders
    needs: tuple[str, ...] = always(
        ()
    )  # ids of tasks of this run; the default order is explicit
    params: Mapping[str, Any] = field(
        default_factory=empty_mapping
    )  # keys that are not gitorch's
    outputs: tuple[str, ...] = always(())  # files that are kept
    metrics: tuple[str, ...] = always(())  # JSON files, in addition to metrics.json
    timeout_s: float | None = always(
        None
    )  # of each attempt, in seconds; None: no limit
    retries: Retries | None = always(None)
    priority: int = always(0)  # the highest starts first
    resources: Resources = field(default_factory=Resources)
    inputs: tuple[str, ...] = ()  # data that the task reads
    discard: tuple[str, ...] = ()  # files that are not kept
    cache: Cache | None = None  # None: the task is always computed anew

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the paths and globs of all data that the task reads."""
        cached = self.cache.inputs if self.cache else ()
        return _unique((*self.inputs, *cached))


class RunSpec(JsonStruct, frozen=True, kw_only=True):
    """One config with one set of params.

    `document` is the file's top level as plain JSON values, resolved, without its `gitorch` key.
    The config dict of a task is made of it. `path_to_tasks` is relative to the root of the
    repository, in POSIX form; "." is the root itself.
    """

    name: str
    document: Mapping[str, Any]
    tasks: tuple[TaskSpec, ...]
    swept: tuple[str, ...] = always(())
    path_to_tasks: str = always(".")
    output_dir: str | None = always(None)  # the logical name, with its placeholders
    link: tuple[str, ...] = always(
        ()
    )  # git-ignored paths, symlinked into each worktree
    env: Mapping[str, str] = field(default_factory=empty_mapping)
    python: str | None = always(None)  # the interpreter, as written
    code: tuple[str, ...] | None = (
        None  # globs of the files that make another run; None: the tree
    )

    @property
    def params(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.document.items()
            if key not in OWN_KEYS
        }

    @property
    def ignores_dirt(self) -> bool:
        return self.document.get("UNSAFE_ignoreDirtyCheck") is True

    @property
    def label(self) -> str:
        """Return the name and the swept params in one line: `penguins learningRate=0.1 seed=2`."""
        parts = [self.name]
        for key in self.swept:
            parts.append(f"{key}={render_value(self.value(key))}")
        return " ".join(parts).replace("\n", "\\n")

    def value(self, key: str) -> Any:
        """Return the value of a parameter, None if there is none.

        The key is dotted where the parameter is in a mapping or in a task.
        """
        task, path = target_of(key, self.document, [task.id for task in self.tasks])
        values = self.document if task is None else self.task(task).params
        return value_at(values, path)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the paths and globs of all data that the tasks read."""
        return _unique(pattern for task in self.tasks for pattern in task.reads)

    def task(self, task_id: str) -> TaskSpec:
        return next(task for task in self.tasks if task.id == task_id)

    def with_dependents(self, task_id: str) -> frozenset[str]:
        """Return the ids of the task and of all tasks that need it, directly or not."""
        return frozenset(
            task.id for task in self.tasks if task_id in self.needed_by(task)
        )

    def beside(self, task: TaskSpec) -> tuple[TaskSpec, ...]:
        """Return the tasks that may run at the same time as `task`: neither needs the other."""
        needed = self.needed_by(task)
        independent = []
        for other in self.tasks:
            if other.id not in needed and task.id not in self.needed_by(other):
                independent.append(other)
        return tuple(independent)

    def needed_by(self, task: TaskSpec) -> set[str]:
        """Return the ids of the task and of all tasks that must be complete before it."""
        needed: set[str] = set()
        pending = [task.id]
        while pending:
            task_id = pending.pop()
            if task_id not in needed:
                needed.add(task_id)
                pending += self.task(task_id).needs
        return needed


def task_config(spec: RunSpec, task: TaskSpec, output_dir: str) -> dict[str, Any]:
    """Return the config dict that a task is given.

    It contains the keys of the file, overlaid with the task's. `outputDir` is the absolute output
    directory.
    """
    own: dict[str, Any] = {"id": task.id}
    if task.method is not None:
        own["method"] = task.method
    elif isinstance(task.command, tuple):
        own["command"] = list(task.command)
    else:
        own["command"] = task.command
    return {**spec.document, **own, **task.params, "outputDir": output_dir}


def render_value(value: Any) -> str:
    """Return the text of a parameter's value in a label or a table.

    It is short, and YAML reads it as the same scalar.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case list():
            return "[" + ",".join(render_value(item) for item in value) + "]"
        case dict():
            items = (f"{key}:{render_value(item)}" for key, item in value.items())
            return "{" + ",".join(items) + "}"
        case _:
            return str(value)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return each value once, in the order of its first occurrence."""
    return tuple(dict.fromkeys(values))
