"""Dotted keys: `lr` and `model.depth` of a config, `tasks.train.epochs` of one of its tasks."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple


class Target(NamedTuple):
    """The parameter at `path` in the task `task`, or at the top level if `task` is None."""

    task: str | None
    path: tuple[str, ...]


def target_of(key: str, names: Container[str], tasks: Iterable[str]) -> Target:
    """Return the target that `key` names in a config.

    `names` are the top-level names of the config, and `tasks` the ids of its tasks. Both may
    contain dots. Raises ValueError if the key names no parameter. The text of the error continues
    a sentence that begins with the key.
    """
    path = tuple(key.split("."))
    if key in names:
        return Target(None, (key,))
    if not all(path):
        raise ValueError("is not a dotted name")
    if path[0] != "tasks" or len(path) == 1:
        return Target(None, path)
    inner = path[1:]
    for length in range(len(inner) - 1, 0, -1):  # the longest id wins
        task = ".".join(inner[:length])
        if task in tasks:
            return Target(task, inner[length:])
    raise ValueError("does not name a task and one of its parameters")
