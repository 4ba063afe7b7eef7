"""What a config asks for, resolved: the values that are pinned, queued and recorded.

A spec holds everything needed to make a queue entry again, so it goes into the record as it is; fields are only added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gitorch.model.run.outcome import Kind
from gitorch.model.text.keys import target_of, value_at

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

# The outcomes after which a task can be retried by itself: those that are an error of the task, once it had started.
RETRIABLE = (Kind.EXIT_CODE, Kind.SIGNAL, Kind.TIMEOUT, Kind.OUT_OF_MEMORY)


class Retries(Struct, frozen=True, kw_only=True):
    """New attempts that are made by themselves: at most `max`, after an outcome of `on`, `backoff_s` seconds later."""

    max: int
    on: tuple[Kind, ...] = RETRIABLE
    backoff_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {"max": self.max, "on": [str(kind) for kind in self.on], "backoff_s": self.backoff_s}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Retries:
        return cls(
            max=value["max"], on=tuple(map(Kind, value["on"])), backoff_s=float(value["backoff_s"])
        )


class Resources(Struct, frozen=True, kw_only=True):
    """What a task takes of its machine while it runs; 0 is not counted."""

    cpus: float = 0.0
    gpus: int = 0
    memory_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"cpus": self.cpus, "gpus": self.gpus, "memory_bytes": self.memory_bytes}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Resources:
        return cls(
            cpus=float(value["cpus"]), gpus=value["gpus"], memory_bytes=value["memory_bytes"]
        )


class Cache(Struct, frozen=True, kw_only=True):
    """What a task's results depend on; None is everything: all parameters, the whole tree."""

    params: tuple[str, ...] | None = None  # dotted, as a task sees them
    code: tuple[str, ...] | None = None  # globs, relative to the repository's root
    inputs: tuple[str, ...] = ()  # paths and globs, like a task's own

    def to_json(self) -> dict[str, Any]:
        return {
            "params": None if self.params is None else list(self.params),
            "code": None if self.code is None else list(self.code),
            "inputs": list(self.inputs),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cache:
        params, code = value["params"], value["code"]
        return cls(
            params=None if params is None else tuple(params),
            code=None if code is None else tuple(code),
            inputs=tuple(value["inputs"]),
        )


class TaskSpec(Struct, frozen=True, kw_only=True):
    """One task: `method` (a class in Tasks.py) or `command` (a string for `sh -c`, or an argv), never both."""

    id: str
    method: str | None = None
    command: str | tuple[str, ...] | None = (
        None  # as written: placeholders are filled in when it runs
    )
    needs: tuple[str, ...] = ()  # ids of this run's tasks, the default order made explicit
    params: Mapping[str, Any] = field(
        default_factory=dict
    )  # the task's own keys that are not gitorch's
    inputs: tuple[
        str, ...
    ] = ()  # paths and globs, absolute or relative to the repository's root: data it reads
    outputs: tuple[str, ...] = ()  # globs, relative to the worktree's root
    discard: tuple[
        str, ...
    ] = ()  # globs, relative to the output directory, of files that are not kept
    metrics: tuple[str, ...] = ()  # JSON files in the output directory, beside metrics.json
    timeout_s: float | None = None  # of each attempt, in seconds; None: no limit
    retries: Retries | None = None
    priority: int = 0  # the higher is begun first
    resources: Resources = field(default_factory=Resources)
    cache: Cache | None = None  # None: whoever runs it runs it anew

    @property
    def reads(self) -> tuple[str, ...]:
        """All that it says of the data it reads, paths and globs."""
        return tuple(dict.fromkeys((*self.inputs, *(self.cache.inputs if self.cache else ()))))

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "method": self.method,
            "command": list(self.command) if isinstance(self.command, tuple) else self.command,
            "needs": list(self.needs),
            "params": dict(self.params),
            "outputs": list(self.outputs),
            "metrics": list(self.metrics),
            "timeout_s": self.timeout_s,
            "retries": self.retries.to_json() if self.retries else None,
            "priority": self.priority,
            "resources": self.resources.to_json(),
            **given({"inputs": list(self.inputs), "discard": list(self.discard)}),
            **({"cache": self.cache.to_json()} if self.cache else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TaskSpec:
        """From `to_json`, also of a version that did not have all of the fields."""
        command, timeout, retries, resources = map(
            value.get, ("command", "timeout_s", "retries", "resources")
        )
        return cls(
            id=value["id"],
            method=value["method"],
            command=tuple(command) if isinstance(command, list) else command,
            needs=tuple(value["needs"]),
            params=value["params"],
            outputs=tuple(value["outputs"]),
            metrics=tuple(value["metrics"]),
            timeout_s=None if timeout is None else float(timeout),
            retries=Retries.from_json(retries) if retries else None,
            priority=value.get("priority", 0),
            resources=Resources.from_json(resources) if resources else Resources(),
            inputs=tuple(value.get("inputs", ())),
            discard=tuple(value.get("discard", ())),
            cache=Cache.from_json(value["cache"]) if value.get("cache") else None,
        )


class RunSpec(Struct, frozen=True, kw_only=True):
    """One config with one set of params.

    `document` is the file's top level as plain JSON values, resolved, without its `gitorch` key: what a task's config
    dict is made of. `path_to_tasks` is relative to the repository's root, in POSIX form, "." for the root itself.
    """

    name: str
    document: Mapping[str, Any]
    tasks: tuple[TaskSpec, ...]
    swept: tuple[str, ...] = ()
    path_to_tasks: str = "."
    output_dir: str | None = None  # logical, placeholders not yet filled in
    link: tuple[
        str, ...
    ] = ()  # git-ignored paths, relative to the root, symlinked into each worktree
    env: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None  # the interpreter, as written
    code: tuple[str, ...] | None = (
        None  # globs of the files that make it another run; None: the whole tree
    )

    @property
    def params(self) -> dict[str, Any]:
        return {key: value for key, value in self.document.items() if key not in OWN_KEYS}

    @property
    def ignores_dirt(self) -> bool:
        return self.document.get("UNSAFE_ignoreDirtyCheck") is True

    @property
    def label(self) -> str:
        """The name and what is swept, in one line: `penguins learningRate=0.1 seed=2`."""
        parts = [self.name, *(f"{key}={render_value(self.value(key))}" for key in self.swept)]
        return " ".join(parts).replace("\n", "\\n")

    def value(self, key: str) -> Any:
        """The value of a parameter, dotted where it lies in a mapping or a task; None where there is none."""
        task, path = target_of(key, self.document, [task.id for task in self.tasks])
        return value_at(self.document if task is None else self.task(task).params, path)

    @property
    def reads(self) -> tuple[str, ...]:
        """What its tasks read, paths and globs."""
        return tuple(dict.fromkeys(pattern for task in self.tasks for pattern in task.reads))

    def task(self, task_id: str) -> TaskSpec:
        return next(task for task in self.tasks if task.id == task_id)

    def with_dependents(self, task_id: str) -> frozenset[str]:
        """The task and all that need it, directly or not."""
        return frozenset(task.id for task in self.tasks if task_id in self.needed_by(task))

    def beside(self, task: TaskSpec) -> tuple[TaskSpec, ...]:
        """The tasks that may run at the same time: those that neither need it, by whatever way, nor are needed."""
        needed = self.needed_by(task)
        return tuple(
            other
            for other in self.tasks
            if other.id not in needed and task.id not in self.needed_by(other)
        )

    def needed_by(self, task: TaskSpec) -> set[str]:
        """The ids of the task and of all that must be complete before it."""
        found: set[str] = set()
        waiting = [task.id]
        while waiting:
            if (name := waiting.pop()) not in found:
                found.add(name)
                waiting += self.task(name).needs
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "document": dict(self.document),
            "tasks": [task.to_json() for task in self.tasks],
            "swept": list(self.swept),
            "path_to_tasks": self.path_to_tasks,
            "output_dir": self.output_dir,
            "link": list(self.link),
            "env": dict(self.env),
            "python": self.python,
            **({"code": list(self.code)} if self.code is not None else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunSpec:
        return cls(
            name=value["name"],
            document=value["document"],
            tasks=tuple(TaskSpec.from_json(task) for task in value["tasks"]),
            swept=tuple(value["swept"]),
            path_to_tasks=value["path_to_tasks"],
            output_dir=value["output_dir"],
            link=tuple(value["link"]),
            env=value["env"],
            python=value["python"],
            code=tuple(value["code"]) if value.get("code") is not None else None,
        )


def task_config(spec: RunSpec, task: TaskSpec, output_dir: str) -> dict[str, Any]:
    """The config dict a task is given: the file's keys overlaid with the task's, `outputDir` the absolute directory."""
    written = task.command if task.method is None else task.method
    return {
        **spec.document,
        "id": task.id,
        "command" if task.method is None else "method": list(written)
        if isinstance(written, tuple)
        else written,
        **task.params,
        "outputDir": output_dir,
    }


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not empty: what came later is not in the records, nor the identities, of runs without it."""
    return {key: value for key, value in values.items() if value}


def render_value(value: Any) -> str:
    """A parameter's value in a label or a table: short, and read back by YAML as the same scalar."""
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
            return (
                "{" + ",".join(f"{key}:{render_value(item)}" for key, item in value.items()) + "}"
            )
        case _:
            return str(value)
