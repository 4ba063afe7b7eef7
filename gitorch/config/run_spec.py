"""The spec that a config asks for, before its sweep is expanded."""

from __future__ import annotations

import json
import posixpath
import re
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from msgspec.structs import replace

from gitorch.config.address import parse_address
from gitorch.config.context import ConfigContext
from gitorch.config.document import KeyPath
from gitorch.config.paths import path_in_repository
from gitorch.config.reader import Reader
from gitorch.config.task_specs import read_code, read_tasks
from gitorch.errors import UsageError
from gitorch.model.problem import Severity
from gitorch.model.run.ids import is_id_prefix
from gitorch.model.run.locked_python import LockedPython, parse_locked
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.text.globs import first_match, is_in_cone

LONGEST_NAME = 100
OUTPUT_HINT = (
    "give it a relative name: every run has an output directory of its own"
)


def read_run_spec(reader: Reader, context: ConfigContext) -> RunSpec:
    """Return the spec that a config asks for.

    The spec is valid only if the reader has no errors.
    """
    _check_repository(reader, context)
    path_to_tasks = _read_path_to_tasks(reader, context)
    output_dir = _read_output_dir(reader, context)
    tasks = read_tasks(reader)
    sparse = _read_sparse(reader, path_to_tasks, tasks)
    code = read_code(reader, ("gitorch", "code"))
    if code is None and sparse:
        code = _code_of_cone(sparse, path_to_tasks, tasks)
    python = _read_python(reader, context)
    locked = _read_lock(reader, python)
    if locked is not None:
        code = code and (*code, *locked.code)
        tasks = tuple(_with_code(task, locked.code) for task in tasks)
    return RunSpec(
        name=_read_name(reader),
        document=_resolved_document(reader, path_to_tasks, output_dir),
        tasks=tasks,
        path_to_tasks=path_to_tasks,
        output_dir=output_dir,
        link=_read_link(reader),
        env=_read_env(reader),
        python=python,
        code=code,
        sparse=sparse,
        environment=_read_environment(reader),
        params_file=_read_params_file(reader, context),
    )


def _check_repository(reader: Reader, context: ConfigContext) -> None:
    """Complain if `githubRepository` is not one of the repository's remotes."""
    position = ("githubRepository",)
    written = reader.get(*position)
    if written is None:
        return
    address = parse_address(written)
    remotes = {name: parse_address(url) for name, url in context.remotes.items()}
    if address is None:
        message = f"'{written}' is not the address of a repository"
        reader.complain(position, message, "write it as in: git remote -v")
    elif not remotes:
        message = (
            f"not checked: this repository has no remote to compare with {address}"
        )
        reader.complain(position, message, severity=Severity.NOTE)
    elif address not in remotes.values():
        message = f"{address} is none of this repository's remotes"
        listed = []
        for name, remote in remotes.items():
            listed.append(f"{name} ({remote or 'not readable'})")
        reader.complain(position, message, f"its remotes: {', '.join(listed)}")


def _read_path_to_tasks(reader: Reader, context: ConfigContext) -> str:
    position = ("pathToTasks",)
    written: str = reader.get(*position, default=".")
    path = PurePosixPath(written)
    if path.name == "Tasks.py":
        reader.complain(
            position, "'pathToTasks' must be a directory", f"write {path.parent}"
        )
    hint = "write it relative to the repository's root"
    normalise = partial(path_in_repository, context.root)
    return reader.path(position, written, normalise, hint) or "."


def _read_output_dir(reader: Reader, context: ConfigContext) -> str | None:
    position = ("outputDir",)
    written = reader.get(*position)
    if written is None:
        return None
    normalise = partial(path_in_repository, context.root)
    return reader.path(position, written, normalise, OUTPUT_HINT)


def _read_name(reader: Reader) -> str:
    """Return the name of the config. Default: the name of its file, without the suffix."""
    name: str | None = reader.get("gitorch", "name")
    if name is None:
        position: KeyPath = ()
        name = PurePosixPath(reader.document.file).stem
        hint = "name it:\n  gitorch: {name: …}"
    else:
        position = ("gitorch", "name")
        hint = "give it another"
    if fault := _fault_of_name(name):
        reader.complain(position, f"the name '{name}' {fault}", hint)
    return name


def _fault_of_name(name: str) -> str | None:
    """Return what is wrong with a name on the command line, in a label or as a file name."""
    if is_id_prefix(name):
        return "could be the beginning of a run's id"
    if not name.strip() or len(name) > LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters"
    if name.startswith(("-", "@", ".")):
        return f"must not begin with '{name[0]}'"
    if "/" in name or not name.isprintable():
        return "must not hold a '/' or a character that cannot be seen"
    return None


def _resolved_document(
    reader: Reader, path_to_tasks: str, output_dir: str | None
) -> dict[str, Any]:
    """Return the config as its tasks see it.

    The result contains no settings of gitorch, and no path that depends on this machine.
    """
    document = _without_settings(reader.document.value)
    tasks = reader.tasks().values()
    document["tasks"] = [_without_settings(task) for task in tasks]
    if "pathToTasks" in document:
        document["pathToTasks"] = path_to_tasks
    if output_dir is not None:
        document["outputDir"] = output_dir
    return document


def _without_settings(mapping: dict[str, Any]) -> dict[str, Any]:
    copy = dict(mapping)
    copy.pop("gitorch", None)
    return copy


def _read_link(reader: Reader) -> tuple[str, ...]:
    """Return the paths to link. Complain about paths that are linked twice."""
    position = ("gitorch", "link")
    paths = reader.paths(
        position, "name a path that is relative to the repository's root"
    )
    linked = set(paths.values()) - {"."}
    seen: set[str] = set()
    for index, path in paths.items():
        parents = map(str, PurePosixPath(path).parents)
        linked_parents = linked.intersection(parents)
        if path == ".":
            message = "'.' would link the whole repository"
            reader.complain((*position, index), message, "name what is not in git")
        elif linked_parents:
            message = (
                f"'{path}' lies in '{min(linked_parents)}', which is linked too"
            )
            reader.complain((*position, index), message, "remove it")
        elif path in seen:
            reader.complain(
                (*position, index), f"'{path}' is linked twice", "remove it"
            )
        seen.add(path)
    return tuple(paths.values())


def _read_sparse(
    reader: Reader, path_to_tasks: str, tasks: tuple[TaskSpec, ...]
) -> tuple[str, ...]:
    """Return the directories of a sparse worktree. Complain if they leave out Tasks.py."""
    position = ("gitorch", "sparse")
    paths = reader.paths(
        position, "name a directory that is relative to the repository's root"
    )
    for index, path in paths.items():
        if path == ".":
            message = "'.' is the whole repository"
            reader.complain((*position, index), message, "leave out sparse")
    sparse = tuple(dict.fromkeys(paths.values()))
    has_methods = any(task.method is not None for task in tasks)
    if has_methods and not is_in_cone(f"{path_to_tasks}/Tasks.py", sparse):
        message = f"the worktrees will lack {path_to_tasks}/Tasks.py"
        reader.complain(position, message, f"add {path_to_tasks} to sparse")
    return sparse


def _code_of_cone(
    sparse: tuple[str, ...], path_to_tasks: str, tasks: tuple[TaskSpec, ...]
) -> tuple[str, ...]:
    """Return the code of a config that names none: its directories, and Tasks.py."""
    globs = [re.sub(r"([*?\[])", r"[\1]", path) for path in sparse]
    has_methods = any(task.method is not None for task in tasks)
    program = posixpath.normpath(f"{path_to_tasks}/Tasks.py")
    if has_methods and first_match(program, globs) is None:
        globs.append(re.sub(r"([*?\[])", r"[\1]", program))
    return tuple(globs)


def _read_env(reader: Reader) -> dict[str, str]:
    position = ("gitorch", "env")
    env: dict[str, str] = {}
    for name, value in reader.children(position).items():
        if name.startswith("GITORCH_"):
            message = f"{name} is set by gitorch itself"
            reader.complain(
                (*position, name), message, "choose another name", key=True
            )
        if "\0" in str(value):
            message = f"{name} holds a NUL character, which no environment can"
            reader.complain((*position, name), message)
        env[name] = value
        if not isinstance(value, str):
            env[name] = json.dumps(value)
    return env


def _read_environment(reader: Reader) -> tuple[str, ...]:
    """Return the commands that describe the environment, each once."""
    position = ("gitorch", "environment")
    commands: dict[str, None] = {}
    for index, command in reader.children(position).items():
        if "\0" in command:
            message = "the command holds a NUL character, which no command can"
            reader.complain((*position, index), message)
        commands[command] = None
    return tuple(commands)


def _read_params_file(reader: Reader, context: ConfigContext) -> str | None:
    position = ("gitorch", "paramsFile")
    written: str | None = reader.get(*position)
    if written is None:
        return None
    if not written.endswith((".yaml", ".yml", ".json")):
        message = f"'{written}' is not the path of a YAML or JSON file"
        reader.complain(position, message, "its name ends in .yaml, .yml or .json")
    hint = "write it relative to the repository's root"
    normalise = partial(path_in_repository, context.root)
    return reader.path(position, written, normalise, hint)


def _read_python(reader: Reader, context: ConfigContext) -> str | None:
    """Return the interpreter, or the words that ask for the environment of a lock."""
    position = ("gitorch", "python")
    python: str | None = reader.get(*position)
    conda: str | None = reader.get("gitorch", "conda")
    for key, value in (("python", python), ("conda", conda)):
        if value is not None and "\0" in value:
            reader.complain(
                ("gitorch", key),
                f"'{key}' holds a NUL character, which no path can",
            )
    if conda is None:
        return context.python if python is None else python
    if python is not None:
        message = "'conda' and 'python' each choose an interpreter"
        reader.complain(("gitorch", "conda"), message, "remove one of them")
    return f"conda {conda}"


def _read_lock(reader: Reader, python: str | None) -> LockedPython | None:
    try:
        return parse_locked(python)
    except UsageError as error:
        is_conda = reader.get("gitorch", "conda") is not None
        position = ("gitorch", "conda" if is_conda else "python")
        reader.complain(position, error.message, error.hint)
        return None


def _with_code(task: TaskSpec, globs: tuple[str, ...]) -> TaskSpec:
    """Return a cached task whose results depend on these files too, if it names its code."""
    if task.cache is None or task.cache.code is None:
        return task
    cache = replace(task.cache, code=(*task.cache.code, *globs))
    return replace(task, cache=cache)
