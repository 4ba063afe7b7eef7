"""From a config file to what it asks for: parsed, checked, resolved, or all that is wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gitorch.config.document import Document, KeyPath, kind_of, parse_document
from gitorch.config.reading import ConfigContext, Reading
from gitorch.errors import NotFound
from gitorch.model.problem import Problem, Severity, has_errors
from gitorch.model.spec import RunSpec

__all__ = ["ConfigContext", "LoadedConfig", "find_configs", "is_config", "load_config"]

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """A config as read. `specs` is empty exactly where `problems` holds an error."""

    file: str
    source: bytes
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

    def place_of(self, parameter: str) -> KeyPath:
        """Where a parameter of the file gets its values: in the sweep, or at the top level."""
        swept = (("gitorch", name, parameter) for name in ("matrix", "zip"))
        return next((path for path in swept if self.document.node(path)), (parameter,))


def load_config(data: bytes, *, file: str, settings: ConfigContext) -> LoadedConfig:
    """Read a config. Never raises: whatever is wrong with it is in the result's `problems`, in the order of the file.

    `file` is what problems call it, and its stem the config's name unless it gives itself one.
    """
    document = parse_document(data, file)
    problems = list(document.problems)
    specs: tuple[RunSpec, ...] = ()
    dimensions: tuple[str, ...] = ()
    if isinstance(document.value, dict):
        reading = Reading(document, settings)
        specs, dimensions = reading.specs()
        problems += reading.problems
    elif not problems:
        kind = kind_of(document.value)
        wrong = "the config is empty" if document.value is None else f"a config must be a mapping, not {kind}"
        problems.append(document.problem((), wrong, "write keys and values, 'tasks' among them"))
    if has_errors(problems):
        specs = ()
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return LoadedConfig(
        file=file, source=data, specs=specs, dimensions=dimensions, problems=tuple(problems), document=document
    )


def is_config(data: bytes) -> bool:
    """Whether this is a YAML mapping with `tasks`. Never raises."""
    if b"tasks" not in data:
        return False
    value = parse_document(data, "").value
    return isinstance(value, dict) and "tasks" in value


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
        fit = (Path(directory, name) for name in files if name.endswith(SUFFIXES) and not name.startswith(("_", ".")))
        found += (file for file in fit if file.is_file())
    if not found:
        hint = "a config's name ends in .yaml or .yml; names that begin with _ or . are left out"
        raise NotFound(f"there is no config in {path}", hint)
    return sorted(found)
