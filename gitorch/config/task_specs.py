"""The specs of a config's tasks, from their keys and settings. The file's settings are defaults."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any

from gitorch.config.document import KeyPath
from gitorch.config.inputs import read_addresses, read_input
from gitorch.config.metric_sources import read_metric_sources, read_metrics
from gitorch.config.paths import relative_glob
from gitorch.config.reader import Reader
from gitorch.config.schema import hint_on
from gitorch.config.slurm_options import read_slurm
from gitorch.config.task_order import read_needs
from gitorch.model.numbers import LARGEST_INTEGER, is_number
from gitorch.model.run.command_line import names_words
from gitorch.model.run.flags import BoolStyle, Flags
from gitorch.model.run.shell import parse_shell
from gitorch.model.run.spec import (
    OWN_KEYS,
    OWN_TASK_KEYS,
    RETRIABLE,
    Cache,
    Resources,
    Retries,
    TaskSpec,
)
from gitorch.model.text.placeholders import has_double_braces, placeholders
from gitorch.model.text.quantities import parse_duration, parse_size

_IN_REPOSITORY = "name files in the repository, relative to its root"
_IN_OUTPUT = "name files in the output directory, relative to it"


def read_tasks(reader: Reader) -> tuple[TaskSpec, ...]:
    needs = read_needs(reader)
    defaults = _read_settings(reader, ("gitorch",))
    specs: list[TaskSpec] = []
    for index, task in reader.tasks().items():
        specs.append(_read_task(reader, index, task, needs[index], defaults))
    return tuple(specs)


def read_code(reader: Reader, position: KeyPath) -> tuple[str, ...] | None:
    """Return the globs of code at a position, or None if there are none."""
    if reader.get(*position) is None:
        return None
    return _read_outputs(reader, position)


def _read_task(
    reader: Reader,
    index: int,
    task: Mapping[str, Any],
    needs: tuple[str, ...],
    defaults: Mapping[str, Any],
) -> TaskSpec:
    for key in task.keys() & (OWN_KEYS - OWN_TASK_KEYS):
        message = f"'{key}' is a key of the file, not of a task"
        reader.complain(
            ("tasks", index, key), message, "move it to the top level", key=True
        )
    method = reader.get("tasks", index, "method")
    if method is not None and not _is_class_name(method):
        hint = "to run a program, write it as 'command'"
        message = f"'{method}' is not the name of a class"
        reader.complain(("tasks", index, "method"), message, hint)
    command = reader.get("tasks", index, "command")
    if isinstance(command, list):
        command = tuple(command)
    params = {key: value for key, value in task.items() if key not in OWN_TASK_KEYS}
    own_settings = _read_settings(reader, ("tasks", index, "gitorch"))
    settings = {**defaults, **own_settings}
    settings["slurm"] = {
        **defaults.get("slurm", {}),
        **own_settings.get("slurm", {}),
    }
    if not isinstance(command, str):
        settings.pop("shell", None)
    settings["flags"] = _flags_used(command, settings.get("flags"))
    return TaskSpec(
        id=reader.get("tasks", index, "id", default=""),
        method=method,
        command=command,
        double_braces=command is not None and has_double_braces(command),
        needs=needs,
        params=params,
        **settings,
    )


def _flags_used(
    command: str | tuple[str, ...] | None, flags: Flags | None
) -> Flags | None:
    """Return how `{flags}` and `{overrides}` are filled in, None if the command has neither."""
    if any(map(names_words, placeholders(command or ""))):
        return flags or Flags()
    return None


def _is_class_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _read_settings(reader: Reader, position: KeyPath) -> dict[str, Any]:
    """Return the values of TaskSpec's fields for the settings at a position."""
    fields: dict[str, Any] = {}
    for field, (setting, read) in _SETTINGS.items():
        if reader.document.node((*position, setting)):
            fields[field] = read(reader, (*position, setting))
    return fields


def _read_inputs(reader: Reader, position: KeyPath) -> tuple[str, ...]:
    paths = []
    for index, written in reader.children(position).items():
        if isinstance(written, str):
            path = read_input(reader, (*position, index), written)
            if path is not None:
                paths.append(path)
    return tuple(paths)


def _read_outputs(reader: Reader, position: KeyPath) -> tuple[str, ...]:
    return tuple(reader.paths(position, _IN_REPOSITORY, relative_glob).values())


def _read_discard(reader: Reader, position: KeyPath) -> tuple[str, ...]:
    return tuple(reader.paths(position, _IN_OUTPUT, relative_glob).values())


def _read_shell(reader: Reader, position: KeyPath) -> tuple[str, ...] | None:
    written = reader.get(*position)
    if written is None:
        return None
    try:
        return parse_shell(written)
    except ValueError as error:
        hint = "write a program, with its options if it needs any: 'shell: bash'"
        reader.complain(position, f"'shell' cannot be read: {error}", hint)
        return None


def _read_timeout(reader: Reader, position: KeyPath) -> float | None:
    if reader.get(*position) == "none":
        return None
    seconds = reader.quantity(position, parse_duration, hint_on("duration"))
    if seconds == 0:
        hint = "'timeout: none' is no limit"
        reader.complain(position, "'timeout' must be more than 0", hint)
    return seconds


def _read_retries(reader: Reader, position: KeyPath) -> Retries:
    position_of_max = (*position, "max")
    if isinstance(reader.get(*position), int | float):
        position_of_max = position
    kinds = reader.get(*position, "on", default=RETRIABLE)
    backoff_s = reader.quantity(
        (*position, "backoff"), parse_duration, hint_on("duration")
    )
    return Retries(
        max=reader.whole_number(position_of_max),
        on=tuple(kind for kind in RETRIABLE if kind in kinds),
        backoff_s=backoff_s or 0.0,
    )


def _read_resources(reader: Reader, position: KeyPath) -> Resources:
    memory_bytes = reader.quantity(
        (*position, "memory"), parse_size, hint_on("size")
    )
    return Resources(
        cpus=float(reader.get(*position, "cpus", default=0)),
        gpus=reader.whole_number((*position, "gpus")),
        memory_bytes=memory_bytes or 0,
    )


def _read_cache(reader: Reader, position: KeyPath) -> Cache | None:
    written = reader.get(*position)
    if written is False:
        return None
    if not written:
        return Cache()  # true or an empty mapping: the results depend on everything
    params = reader.get(*position, "params")
    if params is not None:
        params = tuple(params)
    return Cache(
        params=params,
        code=read_code(reader, (*position, "code")),
        inputs=_read_inputs(reader, (*position, "inputs")),
    )


def _read_flags(reader: Reader, position: KeyPath) -> Flags:
    booleans = reader.get(*position, "bool", default=BoolStyle.YAML)
    dash = reader.get(*position, "dash", default=False)
    equals = reader.get(*position, "equals", default=False)
    return Flags(booleans=BoolStyle(booleans), dash=dash, equals=equals)


def _read_steps(reader: Reader, position: KeyPath) -> int | None:
    """Return the number of steps of a task: the number itself, or the value of a parameter."""
    written = reader.get(*position)
    if not isinstance(written, str):
        return None if written is None else int(written)
    name = written.removeprefix("{").removesuffix("}")
    places: list[KeyPath] = [()]
    if position[0] == "tasks":
        places.insert(0, position[:2])
    for place in places:
        value = reader.get(*place, *name.split("."))
        if is_number(value) and 1 <= value <= LARGEST_INTEGER:
            return int(value)
    message = (
        f"'steps' names '{name}', which is not a parameter with a number of steps"
    )
    reader.complain(position, message, "write a number, or the name of a parameter")
    return None


def _read_engine(reader: Reader, position: KeyPath) -> str | None:
    engine: str | None = reader.get(*position)
    return engine


# The fields of a TaskSpec that hold settings: the name of the setting, and its reader.
_SETTINGS: dict[str, tuple[str, Callable[[Reader, KeyPath], Any]]] = {
    "inputs": ("inputs", _read_inputs),
    "addresses": ("inputs", read_addresses),
    "outputs": ("outputs", _read_outputs),
    "discard": ("discard", _read_discard),
    "volatile": ("volatile", _read_discard),
    "metrics": ("metrics", read_metrics),
    "metric_sources": ("metrics", read_metric_sources),
    "timeout_s": ("timeout", _read_timeout),
    "retries": ("retries", _read_retries),
    "priority": ("priority", Reader.whole_number),
    "resources": ("resources", _read_resources),
    "cache": ("cache", _read_cache),
    "shell": ("shell", _read_shell),
    "flags": ("flags", _read_flags),
    "steps": ("steps", _read_steps),
    "engine": ("engine", _read_engine),
    "slurm": ("slurm", read_slurm),
    "ship": ("ship", _read_outputs),
}
