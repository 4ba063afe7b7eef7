"""The parameters of a config: what a dotted key means in it, and which can be swept or set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS
from gitorch.model.text.keys import Target, target_of
from gitorch.model.text.spelling import nearest


class Refusal(NamedTuple):
    message: str
    hint: str | None


class Parameters:
    """Those of a document's value; tasks that are misshapen have none."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        tasks = document.get("tasks")
        listed = enumerate(tasks if isinstance(tasks, list) else ())
        self._tasks: dict[str, tuple[int, Mapping[str, Any]]] = {
            task["id"]: (index, task)
            for index, task in listed
            if isinstance(task, dict) and isinstance(task.get("id"), str)
        }

    def place(self, key: str) -> Target | Refusal:
        """Where a key leads, or why it cannot be swept or set."""
        try:
            place = target_of(key, self._document, self._tasks)
        except ValueError as error:
            hint = f"the tasks are: {', '.join(self._tasks)}" if key.startswith("tasks.") else None
            return Refusal(f"'{key}' {error}", hint)
        name = place.path[0]
        if name in (OWN_KEYS if place.task is None else OWN_KEYS | OWN_TASK_KEYS):
            return Refusal(
                f"'{key}' is no parameter: '{name}' is gitorch's own", "change it in the file"
            )
        if leaf := self._in_the_way(place):
            return Refusal(
                f"'{key}' leads nowhere: '{leaf}' is no mapping", f"name '{leaf}' itself"
            )
        if place.task is None and (
            task := next((id for id, (_, task) in self._tasks.items() if name in task), None)
        ):
            hint = f"name 'tasks.{task}.{'.'.join(place.path)}', or remove '{name}' from the task"
            return Refusal(
                f"task '{task}' has a '{name}' of its own, which this would not change", hint
            )
        return place

    def path(self, place: Target) -> tuple[str | int, ...]:
        """The path in the document."""
        return (
            place.path if place.task is None else ("tasks", self._tasks[place.task][0], *place.path)
        )

    @property
    def swept(self) -> list[str]:
        """The keys of lists in the sweep."""
        settings = self._document.get("gitorch")
        lists = (
            [settings.get(name) for name in ("matrix", "zip")] if isinstance(settings, dict) else []
        )
        return [key for listed in lists if isinstance(listed, dict) for key in listed]

    def near_miss(self, place: Target, *, beside: Iterable[str] = ()) -> str | None:
        """A warning where a place is new, and its name nearly that of a parameter that is there, or `beside` it."""
        known: Any = {**dict.fromkeys(beside), **self._document}
        if place.task is not None:
            known |= self._tasks.get(place.task, (0, {}))[1]
        for step in place.path[:-1]:
            inner = known.get(step)
            known = inner if isinstance(inner, dict) else {}
        name = place.path[-1]
        near = None if name in known else nearest(name, known)
        return f"'{name}' is a new parameter, did you mean '{near}'?" if near else None

    def _of(self, task: str) -> Mapping[str, Any]:
        return self._tasks[task][1]

    def _in_the_way(self, place: Target) -> str | None:
        """The key on the way to a place that holds something else than a mapping."""
        value: Any = self._document if place.task is None else self._of(place.task)
        for length, step in enumerate(place.path[:-1], 1):
            value = value.get(step, {})
            if not isinstance(value, dict):
                return ".".join(place.path[:length])
        return None
