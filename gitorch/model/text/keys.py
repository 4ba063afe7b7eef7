"""Dotted keys: `lr` and `model.depth` of a config, `tasks.train.epochs` of one of its tasks."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple


class Target(NamedTuple):
    """Where a key leads: along `path` into the parameters of a task, or into those of the file (`task` None)."""

    task: str | None
    path: tuple[str, ...]


def target_of(key: str, names: Container[str], tasks: Iterable[str]) -> Target:
    """The target that `key` names in a config with these top-level `names` and ids of `tasks`, which may be dotted too.

    ValueError: it names no parameter; the text says why.
    """
    first, *rest = path = key.split(".")
    if key in names:
        return Target(None, (key,))
    if not all(path):
        raise ValueError("is no dotted name")
    if first != "tasks" or not rest:
        return Target(None, tuple(path))
    for length in range(len(rest) - 1, 0, -1):  # the longest id that there is
        task = ".".join(rest[:length])
        if task in tasks:
            return Target(task, tuple(rest[length:]))
    raise ValueError("names no task and a parameter of it")
