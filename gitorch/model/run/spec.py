"""The spec of a run: the resolved values of a config, which are pinned, queued and recorded.

A spec holds everything needed to make a queue entry again, so the record contains the whole spec.
Fields are only added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from msgspec import field

from gitorch.model.json_struct import JsonStruct, always, empty_mapping
from gitorch.model.run.flags import Flags
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.model.run.remote_input import RemoteInput
from gitorch.model.text.keys import Target, target_of
from gitorch.model.values import value_at, with_value

_Value = TypeVar("_Value", str, RemoteInput)

# The top-level keys of a config that have a meaning for gitorch. Every other key is a parameter.
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
# The keys of a task that have a meaning for gitorch. Every other key is a parameter of the task.
OWN_TASK_KEYS = frozenset({"id", "method", "command", "needs", "gitorch"})

# The programs of Python, in a command.
# Compiled where it is used: most commands load this module and examine no command.
_PYTHON = r"\bpython|\.py\b|\b(?:pip|pytest|ipython|jupyter|papermill|torchrun|accelerate|uv)\b"

# The outcomes after which a task can be retried automatically: errors after the task had started.
RETRIABLE = (
    OutcomeKind.EXIT_CODE,
    OutcomeKind.SIGNAL,
    OutcomeKind.TIMEOUT,
    OutcomeKind.OUT_OF_MEMORY,
)


_LONGEST_KIND = 300  # characters; nobody's commands differ only after that


class Retries(JsonStruct, frozen=True, kw_only=True):
    """At most `max` automatic retries, each `backoff_s` after an outcome of a kind in `on`."""

    max: int
    on: tuple[OutcomeKind, ...] = always(RETRIABLE)
    backoff_s: float = always(0.0)


class Resources(JsonStruct, frozen=True, kw_only=True):
    """The resources of its machine that a task uses while it runs. 0: not counted."""

    cpus: float = always(0.0)
    gpus: int = always(0)
    memory_bytes: int = always(0)


class Cache(JsonStruct, frozen=True, kw_only=True):
    """What the results of a task depend on.

    If `params` is None, the results depend on all parameters. If `code` is None, they depend on the
    whole tree.
    """

    params: tuple[str, ...] | None = always(None)  # dotted, as a task sees them
    # Globs, relative to the root of the repository.
    code: tuple[str, ...] | None = always(None)
    inputs: tuple[str, ...] = always(())  # paths and globs, like the task's own


class MetricSource(JsonStruct, frozen=True, kw_only=True):
    """Files from which metrics are read, and how they are read.

    `pattern` is a glob, relative to the output directory or to the root of the worktree. If `kind`
    is "dvclive", it is a directory. If `kind` is "log", it is a regular expression, whose named
    groups are the metrics. `step` is the column of a table with the steps.
    """

    kind: Literal["json", "csv", "tensorboard", "dvclive", "log"] | None
    pattern: str
    step: str | None = None


class TaskSpec(JsonStruct, frozen=True, kw_only=True):
    """One task: a `method` (class in Tasks.py) or a `command` (string for a shell, or argv).

    Paths and globs of `inputs` are absolute, or relative to the root of the repository. Globs of
    `outputs` are relative to the root of the worktree. Globs of `discard` and `volatile` are
    relative to the output directory. Globs of `metrics` are relative to either.
    """

    id: str
    method: str | None = always(None)
    # As written, with its placeholders.
    command: str | tuple[str, ...] | None = always(None)
    # True if `{{name}}` in the command stands for `{name}`. In earlier records it does not.
    double_braces: bool = False
    # The ids of tasks of this run. If the config has no `needs`, the default order is written here.
    needs: tuple[str, ...] = always(())
    # The keys of the task that are not in OWN_TASK_KEYS.
    params: Mapping[str, Any] = field(default_factory=empty_mapping)
    outputs: tuple[str, ...] = always(())  # files that are kept
    # Globs of files with metrics, in addition to metrics.json. Their names say how they are read.
    metrics: tuple[str, ...] = always(())
    timeout_s: float | None = always(None)  # of each attempt; None: no limit
    retries: Retries | None = always(None)
    priority: int = always(0)  # the highest starts first
    resources: Resources = field(default_factory=Resources)
    inputs: tuple[str, ...] = ()  # data that the task reads
    discard: tuple[str, ...] = ()  # files that are not kept
    volatile: tuple[str, ...] = ()  # files that are kept, but not compared
    cache: Cache | None = None  # None: the task is always computed anew
    # The words before a `command` that is a text. None: not recorded, or there is no such command.
    shell: tuple[str, ...] | None = None
    # How `{flags}` and `{overrides}` are filled in. None: the command does not contain them.
    flags: Flags | None = None
    # More files with metrics. They are read after `metrics`.
    metric_sources: tuple[MetricSource, ...] = ()
    addresses: tuple[RemoteInput, ...] = ()  # more data that the task reads
    # The number of steps. The step of a metric is then the progress. None: it is not declared.
    steps: int | None = None
    engine: str | None = None  # None: the worker's
    slurm: Mapping[str, Any] = {}  # options of its jobs in Slurm
    # Globs, in the worktree, of linked data that is sent to hosts without a shared file system.
    ship: tuple[str, ...] = ()

    @property
    def declared_metrics(self) -> tuple[MetricSource, ...]:
        """Return the sources of metrics in the order in which they are read."""
        named = [MetricSource(kind=None, pattern=glob) for glob in self.metrics]
        return (*named, *self.metric_sources)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the paths and globs of all data that the task reads."""
        cached = self.cache.inputs if self.cache else ()
        return _unique((*self.inputs, *cached))


class RunSpec(JsonStruct, frozen=True, kw_only=True):
    """One config with one set of params.

    `document` is the resolved top level of the file as plain JSON values, without its `gitorch`
    key. The config dict of a task is made from `document`. `path_to_tasks` is relative to the root
    of the repository, in POSIX form. "." is the root itself.
    """

    name: str
    document: Mapping[str, Any]
    tasks: tuple[TaskSpec, ...]
    swept: tuple[str, ...] = always(())
    # The parameters that `-S` has set to a value that differs from the file's, without the swept.
    changed: tuple[str, ...] = ()
    path_to_tasks: str = always(".")
    output_dir: str | None = always(None)  # the logical name, with its placeholders
    link: tuple[str, ...] = always(
        ()
    )  # git-ignored paths, symlinked into worktrees
    env: Mapping[str, str] = field(default_factory=empty_mapping)
    python: str | None = always(None)  # the interpreter, as written
    # Globs of the files that are part of the run's identity. None: the whole tree.
    code: tuple[str, ...] | None = None
    # The directories that worktrees have, in cone mode. Empty: all files.
    sparse: tuple[str, ...] = ()
    # Commands whose output is part of the recorded environment.
    environment: tuple[str, ...] = ()
    # A committed file of the worktree that the parameters are laid over.
    params_file: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        params = {}
        for key, value in self.document.items():
            if key not in OWN_KEYS:
                params[key] = value
        return params

    @property
    def values(self) -> list[Mapping[str, Any]]:
        """Return the keys of the config, and the params of each task."""
        return [self.document, *(task.params for task in self.tasks)]

    @property
    def names_python(self) -> bool:
        """Return True if the config says that a task runs in Python."""
        if self.python is not None:
            return True
        for task in self.tasks:
            command = task.command
            if command is None:
                return True
            words = command if isinstance(command, str) else " ".join(command)
            if re.search(_PYTHON, words):
                return True
        return False

    @property
    def ignores_dirt(self) -> bool:
        return self.document.get("UNSAFE_ignoreDirtyCheck") is True

    @property
    def distinctive(self) -> tuple[str, ...]:
        """Return the keys of the params that tell the run apart from others of its name."""
        return _unique((*self.swept, *self.changed))

    @property
    def label(self) -> str:
        """Return the name, and the params that were swept or changed, in one line.

        An example is `penguins learningRate=0.1 seed=2`.
        """
        parts = [self.name]
        for key in self.distinctive:
            parts.append(f"{key}={render_value(self.value(key))}")
        return " ".join(parts).replace("\n", "\\n")

    @property
    def distinctive_of_tasks(self) -> dict[str, dict[str, Any]]:
        """Return the distinctive params of tasks, by task."""
        params: dict[str, dict[str, Any]] = {}
        for key in self.distinctive:
            task, path = self._target(key)
            if task is not None:
                value = value_at(self.task(task).params, path)
                params[task] = with_value(params.get(task, {}), path, value)
        return params

    def _target(self, key: str) -> Target:
        return target_of(key, self.document, [task.id for task in self.tasks])

    def value(self, key: str) -> Any:
        """Return the value of a parameter, None if the parameter does not exist.

        The key is dotted if the parameter is in a mapping or in a task.
        """
        task, path = self._target(key)
        values = self.document if task is None else self.task(task).params
        return value_at(values, path)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the paths and globs of all data that the tasks read."""
        return _unique(pattern for task in self.tasks for pattern in task.reads)

    @property
    def addresses(self) -> tuple[RemoteInput, ...]:
        """Return the addresses that the tasks read, each once."""
        return _unique(address for task in self.tasks for address in task.addresses)

    @property
    def unrecorded_links(self) -> tuple[str, ...]:
        """Return the linked paths that no input covers: what tasks read there is not recorded.

        An input in a linked directory covers itself alone: it follows the name of the directory.
        """
        unrecorded = []
        for link in self.link:
            path = link.rstrip("/")
            whole = {path, f"{path}/**", f"{path}/**/*"}
            is_input = any(
                pattern.rstrip("/") in whole or path.startswith(f"{pattern}/")
                for pattern in self.reads
            )
            if is_input:
                continue
            inside = [name for name in self.reads if name.startswith(f"{path}/")]
            if inside:
                link = f"{link} except {', '.join(inside)}"
            unrecorded.append(link)
        return tuple(unrecorded)

    def task(self, task_id: str) -> TaskSpec:
        return next(task for task in self.tasks if task.id == task_id)

    def with_dependents(self, task_id: str) -> frozenset[str]:
        """Return the ids of the task and of all tasks that need it, directly or not."""
        dependents = set()
        for task in self.tasks:
            if task_id in self.needed_by(task):
                dependents.add(task.id)
        return frozenset(dependents)

    def beside(self, task: TaskSpec) -> tuple[TaskSpec, ...]:
        """Return the tasks that may run at the same time as `task`.

        They do not need `task`, and `task` does not need them.
        """
        needed = self.needed_by(task)
        independent = []
        for other in self.tasks:
            if other.id in needed:
                continue
            if task.id not in self.needed_by(other):
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


def kind_of(spec: RunSpec, task: TaskSpec) -> str:
    """Return the text that tasks share if they run the same method or command.

    The durations of such tasks are comparable.
    """
    if task.method is not None:
        kind = f"{spec.path_to_tasks}:{task.method}"
    elif isinstance(task.command, str):
        kind = task.command
    else:
        kind = "\0".join(task.command or ())
    return kind[:_LONGEST_KIND]


def task_config(spec: RunSpec, task: TaskSpec, output_dir: str) -> dict[str, Any]:
    """Return the config dict that a task receives.

    The dict contains the keys of the file. The keys of the task replace those with the same name.
    `outputDir` is the absolute output directory.
    """
    own: dict[str, Any] = {"id": task.id}
    if task.method is not None:
        own["method"] = task.method
    elif isinstance(task.command, tuple):
        own["command"] = list(task.command)
    else:
        own["command"] = task.command
    return {**spec.document, **own, **task.params, "outputDir": output_dir}


def seen_params(spec: RunSpec, task: TaskSpec) -> dict[str, Any]:
    """Return all parameters as the task sees them."""
    return {**spec.params, **task.params}


def render_value(value: Any) -> str:
    """Return the text of a parameter's value in a label or a table.

    The text is short, and YAML reads the text of a scalar as the same scalar.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case list():
            items = [render_value(item) for item in value]
            return "[" + ",".join(items) + "]"
        case dict():
            items = [f"{key}:{render_value(item)}" for key, item in value.items()]
            return "{" + ",".join(items) + "}"
        case _:
            return str(value)


def _unique(values: Iterable[_Value]) -> tuple[_Value, ...]:
    """Return each value once, in the order of its first occurrence."""
    return tuple(dict.fromkeys(values))
