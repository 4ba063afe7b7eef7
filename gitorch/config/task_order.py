"""The order of a config's tasks: the ids, the `needs`, and a check that there are no circles."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from gitorch.config.reader import Reader
from gitorch.model.text.spelling import did_you_mean

_MOST_STEPS = 20  # the most steps of a circle that a message shows


def read_needs(reader: Reader) -> dict[int, tuple[str, ...]]:
    """Return the ids of the tasks that each task needs, by the task's index.

    A task without `needs` needs the task listed before it.
    """
    ids = _read_ids(reader)
    known_ids = set(ids.values())
    tasks = reader.tasks()
    all_ids_are_valid = len(ids) == len(tasks)
    needs: dict[int, tuple[str, ...]] = {}
    default: tuple[str, ...] = ()
    for index in tasks:
        position = ("tasks", index, "needs")
        needs[index] = tuple(reader.get(*position, default=default))
        default = ()
        if index in ids:
            default = (ids[index],)
        for number, needed in reader.children(position).items():
            if all_ids_are_valid and needed not in known_ids:
                message = f"there is no task '{needed}'{did_you_mean(needed, ids.values())}"
                hint = f"the tasks are: {', '.join(ids.values())}"
                reader.complain((*position, number), message, hint)
    _check_circles(reader, ids, needs)
    return needs


def _read_ids(reader: Reader) -> dict[int, str]:
    """Return the valid ids, by the task's index."""
    ids: dict[int, str] = {}
    taken: dict[str, str] = {}
    for index in reader.tasks():
        position = ("tasks", index, "id")
        id = reader.get(*position)
        if id is None:
            continue
        folded = id.lower()
        if folded in (".", "..", ".git"):
            message = f"'{id}' cannot be a task's id"
            reader.complain(position, message, "it names a directory of the record")
        elif folded in taken:
            message = f"the id '{taken[folded]}' is taken by an earlier task"
            hint = "ids are unique, upper and lower case alike: rename one"
            reader.complain(position, message, hint)
        else:
            ids[index] = taken[folded] = id
    return ids


def _check_circles(
    reader: Reader, ids: Mapping[int, str], needs: Mapping[int, tuple[str, ...]]
) -> None:
    """Complain about tasks that wait for each other, at a `needs` that the config contains."""
    indexes: dict[str, int] = {}
    graph: TopologicalSorter[str] = TopologicalSorter()
    for index, id in ids.items():
        indexes[id] = index
        graph.add(id, *needs[index])
    try:
        graph.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        circle.reverse()  # now each task needs the one behind it
        steps = []
        for one, other in pairwise(circle[: _MOST_STEPS + 1]):
            steps.append(f"{one} needs {other}")
        shown = ", ".join(steps)
        hint = "a task without 'needs' needs the one listed before it; 'needs: []' needs none"
        for id in circle:
            position = ("tasks", indexes[id], "needs")
            if reader.get(*position) is not None:
                reader.complain(
                    position, f"the tasks wait for each other: {shown}", hint
                )
                return
