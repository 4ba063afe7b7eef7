"""From a config file to what it asks for: parsed, checked, resolved, or all that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitorch.config.document import Document, KeyPath, kind_of
from gitorch.config.extending import SUFFIXES, Base, bases_named, extended
from gitorch.config.overriding import overridden
from gitorch.config.parameters import Parameters
from gitorch.config.parsing import parse_document
from gitorch.config.reading import ConfigContext, Reading
from gitorch.errors import NotFound
from gitorch.model.problem import Problem, Severity, has_errors
from gitorch.model.run.spec import RunSpec

__all__ = [
    "SUFFIXES",
    "ConfigContext",
    "LoadedConfig",
    "configs_among",
    "find_configs",
    "is_config",
    "load_config",
]


class LoadedConfig(Struct, frozen=True, kw_only=True):
    """A config as read. `specs` is empty exactly where `problems` holds an error."""

    file: str
    source: bytes
    bases: tuple[Base, ...]
    overrides: tuple[str, ...]
    specs: tuple[RunSpec, ...]
    dimensions: tuple[str, ...]  # of its sweep
    problems: tuple[Problem, ...]
    document: Document

    def problem(
        self,
        path: KeyPath,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
        *,
        key: bool = False,
    ) -> Problem:
        """A problem found later, at the value that `path` leads to, like `("tasks", 1, "method")`, or at its key."""
        return self.document.problem(path, message, hint, severity, key=key)

    def in_order(self, *problems: Problem) -> tuple[Problem, ...]:
        """As they come in the file, then those of what it extends and of `-S`."""
        order = sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column))
        return tuple(sorted(order, key=lambda problem: problem.file != self.file))

    def place_of(self, parameter: str) -> KeyPath:
        """Where a parameter of the file gets its values: in the sweep, or at the top level."""
        swept = (("gitorch", name, parameter) for name in ("matrix", "zip"))
        return next((path for path in swept if self.document.node(path)), (parameter,))


def load_config(
    data: bytes, *, file: str, settings: ConfigContext, overrides: Sequence[str] = ()
) -> LoadedConfig:
    """Read a config, what it extends, and what `-S` says. Never raises: whatever is wrong is in its `problems`.

    `file` is what problems call it, and its stem the config's name unless it gives itself one.
    """
    written, bases, is_whole = extended(parse_document(data, file))
    document = overridden(written, overrides)
    problems = list(document.problems)
    specs: tuple[RunSpec, ...] = ()
    dimensions: tuple[str, ...] = ()
    if isinstance(document.value, dict) and is_whole:
        reading = Reading(document, settings, Parameters(written.value))
        specs, dimensions = reading.specs()
        problems += reading.problems
    elif is_whole and not problems:
        kind = kind_of(document.value)
        wrong = (
            "the config is empty"
            if document.value is None
            else f"a config must be a mapping, not {kind}"
        )
        problems.append(document.problem((), wrong, "write keys and values, 'tasks' among them"))
    if has_errors(problems):
        specs = ()
    loaded = LoadedConfig(
        file=file,
        source=data,
        bases=bases,
        overrides=tuple(overrides),
        specs=specs,
        dimensions=dimensions,
        problems=(),
        document=document,
    )
    return replace(loaded, problems=loaded.in_order(*problems))


def is_config(data: bytes) -> bool:
    """Whether this is a YAML mapping with `tasks`. Never raises."""
    if b"tasks" not in data:
        return False
    value = parse_document(data, "").value
    return isinstance(value, dict) and "tasks" in value


def configs_among(files: Mapping[str, bytes]) -> frozenset[str]:
    """The paths of those of these YAML files that are configs, and of what they extend. Never raises."""
    found = {path for path, data in files.items() if is_config(data)}
    ahead = list(found)
    while ahead:
        path = ahead.pop()
        new = files.keys() & set(bases_named(files[path], path)) - found
        found |= new
        ahead += new
    return frozenset(found)


def find_configs(path: Path) -> list[Path]:
    """The file itself, or all configs under a directory, sorted. NotFound where there is none.

    In a directory, names that begin with `_` or `.` are left out, those of directories too.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NotFound(f"there is no {path}", "name a config, or a directory of configs")
    found: list[Path] = []
    for directory, names, files in os.walk(path):
        names[:] = [name for name in names if not name.startswith(("_", "."))]
        fit = (
            Path(directory, name)
            for name in files
            if name.endswith(SUFFIXES) and not name.startswith(("_", "."))
        )
        found += (file for file in fit if file.is_file())
    if not found:
        hint = "a config's name ends in .yaml or .yml; names that begin with _ or . are left out"
        raise NotFound(f"there is no config in {path}", hint)
    return sorted(found)
