"""From a document to the spec it asks for, with everything that a schema cannot check."""

from __future__ import annotations

import json
import keyword
from collections.abc import Callable, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from msgspec import Struct, field

from gitorch.config.address import parse_address
from gitorch.config.document import Document, KeyPath
from gitorch.config.filling import Filling
from gitorch.config.parameters import Parameters
from gitorch.config.places import Misplaced, input_place, place_in, relative_glob, relative_place
from gitorch.config.reader import Reader
from gitorch.config.schema import hint_on
from gitorch.config.sweeping import Sweeping
from gitorch.model.problem import Severity
from gitorch.model.run.ids import is_id_prefix
from gitorch.model.run.spec import (
    OWN_KEYS,
    OWN_TASK_KEYS,
    RETRIABLE,
    Cache,
    Resources,
    Retries,
    RunSpec,
    TaskSpec,
)
from gitorch.model.sweep import LIMIT
from gitorch.model.text.quantities import parse_duration, parse_size
from gitorch.model.text.spelling import did_you_mean

LONGEST_NAME = 100
_IN_OUTPUT = "name files in the output directory, relative to it"
_ENOUGH = 20  # tasks of a circle that are named

_Quantity = TypeVar("_Quantity", int, float)


class ConfigContext(Struct, frozen=True, kw_only=True):
    """What a config is checked against: the work tree's `root`, the repository's remotes, name to address, and how many
    runs it may come to.
    """

    root: Path | None = None
    remotes: Mapping[str, str] = field(default_factory=dict)
    sweep_limit: int = LIMIT


class Reading(Reader):
    """One pass over a document that is a mapping; what stands in the way of its specs is added to `problems`."""

    def __init__(self, document: Document, context: ConfigContext, known: Parameters) -> None:
        super().__init__(document)
        self.context = context
        self._known = known
        tasks = document.value.get("tasks")
        listed = enumerate(tasks if isinstance(tasks, list) else ())
        self._tasks: dict[int, dict[str, Any]] = {
            index: task for index, task in listed if isinstance(task, dict)
        }

    def specs(self) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
        """The spec of each run, to be used only if `problems` holds no error, and the dimensions of the sweep."""
        self._check_repository()
        expansion = Sweeping(self, self.context.sweep_limit, self._known).expansion_of(self._spec())
        filling = Filling(self, self.context.root)
        for spec in expansion.samples:
            filling.check(spec, one_of_many=len(expansion.samples) > 1)
        return expansion.specs, expansion.dimensions

    def _spec(self) -> RunSpec:
        """What the file asks for, its sweep aside."""
        path_to_tasks = self._path_to_tasks()
        output_dir = self._output_dir()
        needs = self._needs()
        defaults = self._task_settings(("gitorch",))
        return RunSpec(
            name=self._name(),
            document=self._resolved(path_to_tasks, output_dir),
            tasks=tuple(self._task(index, needs[index], defaults) for index in self._tasks),
            path_to_tasks=path_to_tasks,
            output_dir=output_dir,
            link=self._link(),
            env=self._env(),
            python=self._python(),
            code=self._code(("gitorch", "code")),
        )

    # The file's own keys

    def _name(self) -> str:
        given = self.get("gitorch", "name")
        name: str = PurePosixPath(self.document.file).stem if given is None else given
        if wrong := _wrong_with_name(name):
            hint = "give it another" if given else "name it:\n  gitorch: {name: …}"
            self.complain(("gitorch", "name") if given else (), f"the name '{name}' {wrong}", hint)
        return name

    def _check_repository(self) -> None:
        path = ("githubRepository",)
        written = self.get(*path)
        if written is None:
            return
        address = parse_address(written)
        remotes = {name: parse_address(url) for name, url in self.context.remotes.items()}
        if address is None:
            self.complain(
                path, f"'{written}' is no address of a repository", "write it as in: git remote -v"
            )
        elif not remotes:
            message = f"not checked: this repository has no remote to compare with {address}"
            self.complain(path, message, severity=Severity.NOTE)
        elif address not in remotes.values():
            known = ", ".join(
                f"{name} ({remote or 'not readable'})" for name, remote in remotes.items()
            )
            self.complain(
                path, f"{address} is none of this repository's remotes", f"its remotes: {known}"
            )

    def _path_to_tasks(self) -> str:
        path = ("pathToTasks",)
        written: str = self.get(*path, default=".")
        if PurePosixPath(written).name == "Tasks.py":
            self.complain(
                path, "'pathToTasks' must be a directory", f"write {PurePosixPath(written).parent}"
            )
        hint = "write it relative to the repository's root"
        return self._placed(path, written, partial(place_in, self.context.root), hint) or "."

    def _placed(
        self, path: KeyPath, written: str, place: Callable[[str], str], hint: str
    ) -> str | None:
        try:
            return place(written)
        except Misplaced as error:
            self.complain(path, f"'{written}' {error}", error.hint or hint)
            return None

    def _places(
        self, path: KeyPath, hint: str, place: Callable[[str], str] = relative_place
    ) -> dict[int, str]:
        """The sound ones of a list of paths, by their index."""
        tried = {
            index: self._placed((*path, index), text, place, hint)
            for index, text in self.items(path)
        }
        return {index: place for index, place in tried.items() if place is not None}

    def _link(self) -> tuple[str, ...]:
        path = ("gitorch", "link")
        places = self._places(path, "name a path that is relative to the repository's root")
        linked = set(places.values()) - {"."}
        seen: set[str] = set()
        for index, place in places.items():
            around = linked.intersection(map(str, PurePosixPath(place).parents))
            if place == ".":
                self.complain(
                    (*path, index), "'.' would link the whole repository", "name what is not in git"
                )
            elif around or place in seen:
                what = (
                    f"lies in '{min(around)}', which is linked too" if around else "is linked twice"
                )
                self.complain((*path, index), f"'{place}' {what}", "remove it")
            seen.add(place)
        return tuple(places.values())

    def _code(self, path: KeyPath) -> tuple[str, ...] | None:
        """Globs of code; None where none are given."""
        if self.get(*path) is None:
            return None
        return self._outputs(path)

    def _python(self) -> str | None:
        path = ("gitorch", "python")
        given: str | None = self.get(*path)
        if "\0" in (given or ""):
            self.complain(path, "'python' holds a NUL character, which no path can")
        return given

    def _env(self) -> dict[str, str]:
        path = ("gitorch", "env")
        given = self.items(path)
        for name, value in given:
            if name.startswith("GITORCH_"):
                self.complain(
                    (*path, name),
                    f"{name} is set by gitorch itself",
                    "choose another name",
                    key=True,
                )
            if "\0" in str(value):
                self.complain(
                    (*path, name), f"{name} holds a NUL character, which no environment can"
                )
        return {name: _text(value) for name, value in given}

    def _output_dir(self) -> str | None:
        path = ("outputDir",)
        written = self.get(*path)
        hint = "give it a relative name: every run has an output directory of its own"
        return (
            None
            if written is None
            else self._placed(path, written, partial(place_in, self.context.root), hint)
        )

    def _resolved(self, path_to_tasks: str, output_dir: str | None) -> dict[str, Any]:
        """The top level as the tasks see it: no settings of gitorch's, no path that depends on this machine."""
        document = {key: value for key, value in self.document.value.items() if key != "gitorch"}
        document["tasks"] = [
            {key: task[key] for key in task if key != "gitorch"} for task in self._tasks.values()
        ]
        if "pathToTasks" in document:
            document["pathToTasks"] = path_to_tasks
        if output_dir is not None:
            document["outputDir"] = output_dir
        return document

    # Tasks

    def _task(self, index: int, needs: tuple[str, ...], defaults: Mapping[str, Any]) -> TaskSpec:
        task = self._tasks[index]
        for key in task.keys() & (OWN_KEYS - OWN_TASK_KEYS):
            message = f"'{key}' is a key of the file, not of a task"
            self.complain(("tasks", index, key), message, "move it to the top level", key=True)
        method = self.get("tasks", index, "method")
        if method is not None and (not method.isidentifier() or keyword.iskeyword(method)):
            hint = "to run a program, write it as 'command'"
            self.complain(("tasks", index, "method"), f"'{method}' is no name of a class", hint)
        command = self.get("tasks", index, "command")
        return TaskSpec(
            id=self.get("tasks", index, "id", default=""),
            method=method,
            command=tuple(command) if isinstance(command, list) else command,
            needs=needs,
            params={key: value for key, value in task.items() if key not in OWN_TASK_KEYS},
            **{**defaults, **self._task_settings(("tasks", index, "gitorch"))},
        )

    def _task_settings(self, place: KeyPath) -> dict[str, Any]:
        """Fields of a task's spec: of what a task can have under `gitorch`, that which is there at `place`."""
        read: dict[str, tuple[str, Callable[[KeyPath], Any]]] = {
            "inputs": ("inputs", self._inputs),
            "outputs": ("outputs", self._outputs),
            "discard": ("discard", self._discard),
            "metrics": ("metrics", self._metrics),
            "timeout": ("timeout_s", self._timeout),
            "retries": ("retries", self._retries),
            "priority": ("priority", self._whole_number),
            "resources": ("resources", self._resources),
            "cache": ("cache", self._cache),
        }
        there = [key for key in read if self.document.node((*place, key))]
        return {name: of((*place, key)) for key in there for name, of in [read[key]]}

    def _inputs(self, path: KeyPath) -> tuple[str, ...]:
        hint = "write it relative to the repository's root, or as an absolute path"
        return tuple(self._places(path, hint, input_place).values())

    def _cache(self, path: KeyPath) -> Cache | None:
        given = self.get(*path)
        if not given:
            return (
                None if given is False else Cache()
            )  # an empty mapping names nothing: everything counts
        params = self.get(*path, "params")
        return Cache(
            params=None if params is None else tuple(params),
            code=self._code((*path, "code")),
            inputs=self._inputs((*path, "inputs")),
        )

    def _outputs(self, path: KeyPath) -> tuple[str, ...]:
        return tuple(
            self._places(
                path, "name files in the repository, relative to its root", relative_glob
            ).values()
        )

    def _discard(self, path: KeyPath) -> tuple[str, ...]:
        return tuple(self._places(path, _IN_OUTPUT, relative_glob).values())

    def _metrics(self, path: KeyPath) -> tuple[str, ...]:
        return tuple(self._places(path, _IN_OUTPUT).values())

    def _timeout(self, path: KeyPath) -> float | None:
        if self.get(*path) == "none":
            return None
        seconds = self._quantity(path, parse_duration, hint_on("duration"))
        if seconds == 0:
            self.complain(path, "'timeout' must be more than 0", "'timeout: none' is no limit")
        return seconds

    def _retries(self, path: KeyPath) -> Retries:
        given = self.get(*path)
        wanted = self.get(*path, "on", default=RETRIABLE)
        return Retries(
            max=self._whole_number(path if isinstance(given, int | float) else (*path, "max")),
            on=tuple(kind for kind in RETRIABLE if kind in wanted),
            backoff_s=self._quantity((*path, "backoff"), parse_duration, hint_on("duration"))
            or 0.0,
        )

    def _resources(self, path: KeyPath) -> Resources:
        return Resources(
            cpus=float(self.get(*path, "cpus", default=0)),
            gpus=self._whole_number((*path, "gpus")),
            memory_bytes=self._quantity((*path, "memory"), parse_size, hint_on("size")) or 0,
        )

    def _whole_number(self, path: KeyPath) -> int:
        return int(self.get(*path, default=0))  # 2.0 is one too

    def _quantity(
        self, path: KeyPath, parse: Callable[[str | float], _Quantity], hint: str
    ) -> _Quantity | None:
        written = self.get(*path)
        if written is None:
            return None
        try:
            return parse(written)
        except ValueError as error:
            self.complain(path, f"'{written}' {error}", hint)
            return None

    def _needs(self) -> dict[int, tuple[str, ...]]:
        """What each task needs, the default made explicit: the task listed before it."""
        ids = self._ids()
        known = set(ids.values())
        needs: dict[int, tuple[str, ...]] = {}
        before: tuple[str, ...] = ()
        for index in self._tasks:
            path = ("tasks", index, "needs")
            needs[index] = tuple(self.get(*path, default=before))
            before = (ids[index],) if index in ids else ()
            for position, wanted in self.items(path):
                if wanted not in known and len(ids) == len(self._tasks):
                    message = f"there is no task '{wanted}'{did_you_mean(wanted, ids.values())}"
                    self.complain(
                        (*path, position), message, f"the tasks are: {', '.join(ids.values())}"
                    )
        self._check_order(
            {ids[index]: needs[index] for index in ids},
            {name: index for index, name in ids.items()},
        )
        return needs

    def _ids(self) -> dict[int, str]:
        """The ids that can be used, by the task's place in the list."""
        ids: dict[int, str] = {}
        taken: dict[str, str] = {}
        for index in self._tasks:
            path = ("tasks", index, "id")
            name = self.get(*path)
            if name is None:
                continue
            if name.lower() in (".", "..", ".git"):
                self.complain(
                    path, f"'{name}' cannot be a task's id", "it names a directory of the record"
                )
            elif name.lower() in taken:
                hint = "ids are unique, upper and lower case alike: rename one"
                self.complain(
                    path, f"the id '{taken[name.lower()]}' is taken by an earlier task", hint
                )
            else:
                ids[index] = taken[name.lower()] = name
        return ids

    def _check_order(self, needs: Mapping[str, tuple[str, ...]], places: Mapping[str, int]) -> None:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]
            said = next(
                name for name in circle if self.get("tasks", places[name], "needs") is not None
            )
            steps = ", ".join(
                f"{one} needs {other}" for one, other in pairwise(circle[: _ENOUGH + 1])
            )
            hint = "a task without 'needs' needs the one listed before it; 'needs: []' needs none"
            self.complain(
                ("tasks", places[said], "needs"), f"the tasks wait for each other: {steps}", hint
            )


def _wrong_with_name(name: str) -> str | None:
    """Why a run could not be named so on the command line, in a label or as a file."""
    if is_id_prefix(name):
        return "could be the beginning of a run's id"
    if not name.strip() or len(name) > LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters"
    if name.startswith(("-", "@", ".")):
        return f"must not begin with '{name[0]}'"
    if "/" in name or not name.isprintable():
        return "must not hold a '/' or a character that cannot be seen"
    return None


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else json.dumps(value)
