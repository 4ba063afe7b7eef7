"""gitorch's own keys outside of `gitorch:`, where they would silently be parameters.

A key with the name and the shape of one of gitorch's settings is an error there. `timeout: null`
under `gitorch:`, or any other value, says that the key `timeout` beside `gitorch:` is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitorch.config.document import Document, KeyPath, graft
from gitorch.config.flow_text import flow_text
from gitorch.config.parameters import KeyRefusal, Parameters
from gitorch.config.schema import file_settings, has_shape, task_settings
from gitorch.model.problem import Problem
from gitorch.model.sweep import parse_range

_OWN: KeyPath = ("gitorch",)
# Also a common name of a parameter, so that it is one outside of `gitorch:`.
_AMBIGUOUS = {"steps"}
_LONGEST_LINE = 200  # characters of a line that a hint shows


def misplaced_keys(document: Document) -> Iterator[Problem]:
    """Yield an error for each of gitorch's keys that is written, or swept, as a parameter."""
    if not isinstance(document.value, dict):
        return
    for place in _places(document):
        misplaced = {}
        for key, value in _mapping_at(document, place).items():
            if _is_misplaced(document, place, key, [value]):
                misplaced[key] = value
        for key in misplaced:
            home = _home_of(key, place)
            together = {}
            for other, value in misplaced.items():
                if _home_of(other, place) == home:
                    together[other] = value
            message = (
                f"'{key}' belongs under 'gitorch'; here it would be a parameter"
            )
            hint = _hint(document, home, key, together)
            yield document.problem((*place, key), message, hint, key=True)
    yield from _swept_keys(document)


def without_unset_keys(document: Document) -> Document:
    """Return the document without the keys under `gitorch:` that are null.

    A key with nothing behind its colon stays: somebody has forgotten the value.
    """
    for place in _places(document):
        for key in _mapping_at(document, (*place, *_OWN)):
            position = (*place, *_OWN, key)
            node = document.node(position)
            if key not in file_settings():
                continue
            if node and document.root and node.is_null:
                root = graft(document.root, position, None, node.span)
                document = Document(document.source, root, document.problems)
    return document


# Other values of a key `engine` are likely to be those of a parameter.
_ENGINES = ("local", "slurm", "dask")


def _places(document: Document) -> list[KeyPath]:
    """Return the positions of the mappings that hold parameters: the file and its tasks."""
    places: list[KeyPath] = [()]
    tasks = document.value.get("tasks")
    if isinstance(tasks, list):
        places += [("tasks", index) for index in range(len(tasks))]
    return places


def _mapping_at(document: Document, position: KeyPath) -> Mapping[str, Any]:
    node = document.node(position)
    if node is None or not isinstance(node.value, dict):
        return {}
    return node.value


def _is_misplaced(
    document: Document, place: KeyPath, key: str, values: Sequence[Any]
) -> bool:
    """Return True if a key outside of `gitorch:` is one of gitorch's, and not a parameter."""
    if key not in file_settings() or key in _AMBIGUOUS:
        return False
    if key == "engine" and not any(value in _ENGINES for value in values):
        return False
    if key in _mapping_at(document, (*place, *_OWN)):
        return False
    of_file = _mapping_at(document, _OWN)
    if key in of_file and (of_file[key] is None or key not in task_settings()):
        return False
    return any(has_shape(key, value) for value in values)


def _home_of(key: str, place: KeyPath) -> KeyPath:
    """Return the position of the `gitorch:` that the key belongs to."""
    return (*place, *_OWN) if key in task_settings() else _OWN


def _swept_keys(document: Document) -> Iterator[Problem]:
    """Yield an error for each of gitorch's keys that the sweep varies, and the file has not."""
    parameters = Parameters(document.value)
    for position, values in _swept_values(document):
        key = str(position[-1])
        target = parameters.target(key)
        if isinstance(target, KeyRefusal) or len(target.path) > 1:
            continue
        place = parameters.position(target)[:-1]
        name = target.path[0]
        if name in _mapping_at(document, place):
            continue
        if _is_misplaced(document, place, name, values):
            message = f"'{key}' is a key of 'gitorch' and cannot be swept"
            home = _home_of(name, place)
            hint = _hint(document, home, name, {name: values[0]})
            yield document.problem(position, message, hint, key=True)


def _swept_values(document: Document) -> Iterator[tuple[KeyPath, Sequence[Any]]]:
    """Yield the position of each swept key, with its values."""
    for setting in ("matrix", "zip"):
        position = (*_OWN, setting)
        for key, written in _mapping_at(document, position).items():
            yield (*position, key), _listed(written)
    node = document.node((*_OWN, "include"))
    if node is None or not isinstance(node.value, list):
        return
    for index in range(len(node.value)):
        position = (*_OWN, "include", index)
        for key, value in _mapping_at(document, position).items():
            yield (*position, key), [value]


def _listed(written: Any) -> Sequence[Any]:
    """Return the values in a list. Return the first value of a range alone, which may be long."""
    if isinstance(written, list):
        return written
    if isinstance(written, str):
        try:
            return (parse_range(written) or ())[:1]
        except ValueError:
            return ()
    return ()


def _hint(
    document: Document, home: KeyPath, key: str, together: Mapping[str, Any]
) -> str:
    """Return the line to write. `together` are all keys that belong to the same `gitorch:`."""
    place = "at the top level"
    if len(home) > 1:
        place = f"in the task '{_mapping_at(document, home[:-1]).get('id')}'"
    added = flow_text(together)[1:-1]
    block = document.node(home)
    if block and block.span.source.file != document.file:
        # It comes from a base or from `-S`.
        block = None
    written = block.span.text if block else "{}"
    if block and (not written.startswith("{") or "\n" in written):
        number = block.span.source.line(block.span.start)
        action = f"add to the keys under 'gitorch' (line {number})"
        line = flow_text({key: together[key]})[1:-1]
    else:
        action = f"write {place}"
        held = written[1:-1].strip(" ,")
        comma = ", " if held else ""
        line = f"gitorch: {{{held}{comma}{added}}}"
    if len(line) > _LONGEST_LINE:
        line = f"gitorch: {{{key}: …}}"
    return (
        f"{action}:\n  {line}\n"
        f"to keep it as a parameter, write '{key}: null' under 'gitorch'"
    )
