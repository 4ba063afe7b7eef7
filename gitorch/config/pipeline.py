"""The passes that turn a config file into the specs of its runs. Read this file first.

    1. parse      yaml_parser        the file becomes a Document: values with their positions
    2. extend     bases              the document is laid over the files that it extends
    3. override   overrides          `-S key=value` is applied
    4. place      misplaced_keys     gitorch's keys outside of `gitorch:` are reported
    5. shape      schema, reader     a Reader hides every value that does not match the JSON schema
    6. read       run_spec           the keys and settings become one RunSpec
    7. sweep      sweep_expansion    the RunSpec becomes one RunSpec for each point of the sweep
    8. fill       placeholder_check  all names in commands, outputDir and `cache` are looked up

No pass raises an error or stops at the first problem. Each pass adds its problems, with file, line
and column, and later passes read the values without problems. A config with an error has no specs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitorch.config.bases import Base, extend
from gitorch.config.context import ConfigContext
from gitorch.config.document import Document, KeyPath, kind_in_words
from gitorch.config.misplaced_keys import misplaced_keys, without_unset_keys
from gitorch.config.overrides import changed_keys, override
from gitorch.config.parameters import Parameters
from gitorch.config.placeholder_check import check_placeholders
from gitorch.config.reader import Reader
from gitorch.config.run_spec import read_run_spec
from gitorch.config.sweep_expansion import expand
from gitorch.config.yaml_parser import parse_document
from gitorch.model.problem import Problem, Severity, has_errors
from gitorch.model.run.spec import RunSpec

__all__ = ["ConfigContext", "LoadedConfig", "load_config"]


class LoadedConfig(Struct, frozen=True, kw_only=True):
    """The result of all passes. `specs` is empty exactly if `problems` holds an error."""

    file: str
    source: bytes
    bases: tuple[Base, ...]
    overrides: tuple[str, ...]
    specs: tuple[RunSpec, ...]
    dimensions: tuple[str, ...]  # of the sweep, see Expansion
    problems: tuple[Problem, ...]
    document: Document

    def problem(
        self,
        position: KeyPath,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
        *,
        key: bool = False,
    ) -> Problem:
        """Return a problem that is found after loading.

        The problem points at the value at a position, like `("tasks", 1, "method")`, or with `key`
        at its key.
        """
        return self.document.problem(position, message, hint, severity, key=key)

    def in_order(self, *problems: Problem) -> tuple[Problem, ...]:
        """Sort problems by position: those of this file, then those of its bases and of `-S`."""
        return _in_order(self.file, problems)

    def position_of(self, parameter: str) -> KeyPath:
        """Return the position of a parameter's values: in the sweep, or at the top level."""
        for name in ("matrix", "zip"):
            if self.document.node(("gitorch", name, parameter)):
                return ("gitorch", name, parameter)
        return (parameter,)


def load_config(
    data: bytes, *, file: str, context: ConfigContext, overrides: Sequence[str] = ()
) -> LoadedConfig:
    """Take a config through all passes. This never raises: the result holds the problems.

    `file` is the name of the config in problems. Its stem is the name of the runs, unless the
    config sets a name.
    """
    extended = extend(parse_document(data, file))
    document = override(extended.document, overrides)
    problems = list(document.problems)
    result = _Result()
    if extended.is_whole:
        if isinstance(document.value, dict):
            problems += misplaced_keys(document)
            document = without_unset_keys(document)
            changed = changed_keys(extended.document, document, overrides)
            written = Parameters(extended.document.value)
            result = _read(document, context, written, changed)
            problems += result.problems
        elif not problems:
            problems.append(_not_a_mapping(document))
    return LoadedConfig(
        file=file,
        source=data,
        bases=extended.bases,
        overrides=tuple(overrides),
        specs=() if has_errors(problems) else result.specs,
        dimensions=result.dimensions,
        problems=_in_order(file, problems),
        document=document,
    )


class _Result(NamedTuple):
    specs: tuple[RunSpec, ...] = ()
    dimensions: tuple[str, ...] = ()
    problems: Sequence[Problem] = ()


def _read(
    document: Document,
    context: ConfigContext,
    written: Parameters,
    changed: tuple[str, ...],
) -> _Result:
    """Take a mapping through the passes from shape to fill.

    `written` holds the parameters before `-S` was applied, and `changed` the keys of those that it
    has changed.
    """
    reader = Reader(document)
    spec = replace(read_run_spec(reader, context), changed=changed)
    expansion = expand(reader, spec, limit=context.sweep_limit, written=written)
    check_placeholders(reader, expansion.samples, context.root)
    return _Result(expansion.specs, expansion.dimensions, reader.problems)


def _not_a_mapping(document: Document) -> Problem:
    message = f"a config must be a mapping, not {kind_in_words(document.value)}"
    if document.value is None:
        message = "the config is empty"
    return document.problem(
        (), message, "write keys and values, 'tasks' among them"
    )


def _in_order(file: str, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Sort problems by position, those of `file` first."""

    def position(problem: Problem) -> tuple[bool, str, int, int]:
        is_elsewhere = problem.file != file
        return is_elsewhere, problem.file, problem.line, problem.column

    return tuple(sorted(problems, key=position))
