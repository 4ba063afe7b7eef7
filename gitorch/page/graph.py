"""The tasks of a run as a small graph: in columns, each task right of those that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

_WIDTH = 132
_HEIGHT = 32
_GAP_X = 36
_GAP_Y = 12
_MOST = 60  # tasks; more of them are a table only
_LONGEST = 15  # characters of a name that fit


class GraphNode(Struct, frozen=True, kw_only=True):
    """A task at its place, in pixels."""

    id: str
    text: str
    status: str
    x: int
    y: int


class TaskGraph(Struct, frozen=True, kw_only=True):
    """The places of all tasks, and the lines between them as paths of SVG."""

    nodes: Sequence[GraphNode]
    lines: Sequence[str]
    width: int
    height: int
    node_width: int = _WIDTH
    node_height: int = _HEIGHT


def task_graph(
    statuses: Mapping[str, str], needs: Mapping[str, Sequence[str]]
) -> TaskGraph | None:
    """Return the graph of these tasks, None if they are too many to be read."""
    if len(statuses) > _MOST:
        return None
    depths = _depths(list(statuses), needs)
    filled: dict[int, int] = {}
    places = {}
    for task, depth in depths.items():
        row = filled.get(depth, 0)
        filled[depth] = row + 1
        x = 1 + depth * (_WIDTH + _GAP_X)
        places[task] = (x, 1 + row * (_HEIGHT + _GAP_Y))
    nodes = []
    lines = []
    for task, (x, y) in places.items():
        text = task if len(task) <= _LONGEST else f"{task[: _LONGEST - 1]}…"
        nodes.append(GraphNode(id=task, text=text, status=statuses[task], x=x, y=y))
        for needed in needs.get(task, ()):
            if needed in places:
                lines.append(_line(places[needed], (x, y)))
    columns, rows = len(filled), max(filled.values(), default=1)
    return TaskGraph(
        nodes=nodes,
        lines=lines,
        width=columns * (_WIDTH + _GAP_X) - _GAP_X + 2,
        height=rows * (_HEIGHT + _GAP_Y) - _GAP_Y + 2,
    )


def _depths(
    tasks: Sequence[str], needs: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Return the length of the longest chain of needed tasks, for each task.

    The tasks come in an order in which each is after those that it needs. A damaged record may
    break this rule, and a task that is not known yet then counts as needed by nothing.
    """
    depths: dict[str, int] = {}
    for task in tasks:
        before = [depths.get(needed, -1) for needed in needs.get(task, ())]
        depths[task] = max(before, default=-1) + 1
    return depths


def _line(source: tuple[int, int], target: tuple[int, int]) -> str:
    x1, y1 = source[0] + _WIDTH, source[1] + _HEIGHT // 2
    x2, y2 = target[0], target[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
