"""The parameters of a config: the targets of dotted keys, and the keys that can be swept or set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gitorch.config.document import KeyPath
from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS
from gitorch.model.text.keys import Target, target_of
from gitorch.model.text.spelling import nearest


class KeyRefusal(NamedTuple):
    """The reason why a key cannot be swept or set."""

    message: str
    hint: str | None


class Parameters:
    """The parameters of a document: those of the file, and those of every well-shaped task."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._tasks: dict[str, Mapping[str, Any]] = {}
        self._task_indexes: dict[str, int] = {}
        tasks = document.get("tasks")
        if isinstance(tasks, list):
            for index, task in enumerate(tasks):
                if not isinstance(task, dict):
                    continue
                id = task.get("id")
                if isinstance(id, str):
                    self._tasks[id] = task
                    self._task_indexes[id] = index

    def target(self, key: str) -> Target | KeyRefusal:
        """Return the target of a key, or the reason why the key cannot be swept or set."""
        try:
            target = target_of(key, self._document, self._tasks)
        except ValueError as error:
            hint = None
            if key.startswith("tasks."):
                hint = f"the tasks are: {', '.join(self._tasks)}"
            return KeyRefusal(f"'{key}' {error}", hint)
        own_keys = OWN_KEYS
        if target.task is not None:
            own_keys = OWN_KEYS | OWN_TASK_KEYS
        name = target.path[0]
        if name in own_keys:
            message = f"'{key}' is not a parameter: '{name}' is gitorch's own"
            return KeyRefusal(message, "change it in the file")
        if leaf := self._leaf_in_the_way(target):
            message = f"'{key}' leads nowhere: '{leaf}' is not a mapping"
            return KeyRefusal(message, f"name '{leaf}' itself")
        task = self._task_that_hides(target)
        if task is not None:
            message = f"task '{task}' has a '{name}' of its own, which this would not change"
            key_of_task = ".".join(("tasks", task, *target.path))
            hint = f"name '{key_of_task}', or remove '{name}' from the task"
            return KeyRefusal(message, hint)
        return target

    def position(self, target: Target) -> KeyPath:
        """Return the position in the document that a target has, or would have."""
        if target.task is None:
            return target.path
        return ("tasks", self._task_indexes[target.task], *target.path)

    @property
    def swept(self) -> list[str]:
        """The keys that `matrix` and `zip` list."""
        settings = self._document.get("gitorch")
        keys: list[str] = []
        if isinstance(settings, dict):
            for name in ("matrix", "zip"):
                lists = settings.get(name)
                if isinstance(lists, dict):
                    keys += lists
        return keys

    def near_miss(self, target: Target, *, also: Iterable[str] = ()) -> str | None:
        """Return a warning if a target is new, but its name is close to that of a parameter.

        `also` names more parameters to compare the name with.
        """
        siblings: Any = {**dict.fromkeys(also), **self._document}
        if target.task is not None:
            siblings |= self._tasks.get(target.task, {})
        for name in target.path:
            if not isinstance(siblings, dict):
                return None
            if name not in siblings:
                near = nearest(name, siblings)
                if near is None:
                    return None
                return f"'{name}' is a new parameter, did you mean '{near}'?"
            siblings = siblings[name]
        return None

    def _leaf_in_the_way(self, target: Target) -> str | None:
        """Return the key on the way to a target whose value is not a mapping, if there is one."""
        value: Any = self._document
        if target.task is not None:
            value = self._tasks[target.task]
        for length, step in enumerate(target.path[:-1], 1):
            value = value.get(step, {})
            if not isinstance(value, dict):
                return ".".join(target.path[:length])
        return None

    def _task_that_hides(self, target: Target) -> str | None:
        """Return the first task whose own parameter hides the file's parameter from the task."""
        if target.task is not None:
            return None
        for id, task in self._tasks.items():
            if target.path[0] in task:
                return id
        return None
