"""A check of every name that a command, outputDir or `cache` refers to.

The parameter must exist, and its value must be usable there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitorch.config.document import KeyPath
from gitorch.config.paths import BadPath, path_in_repository
from gitorch.config.reader import Reader
from gitorch.config.run_spec import OUTPUT_HINT
from gitorch.model.run.cache import seen_params
from gitorch.model.run.spec import RunSpec, TaskSpec, task_config
from gitorch.model.text.placeholders import (
    Placeholder,
    fill,
    fill_text,
    is_known,
    placeholders,
    placeholders_of,
)
from gitorch.model.text.spelling import did_you_mean

# Names that outputDir may contain in braces besides parameters. They are filled in when the run is
# created.
OUTPUT_NAMES = ("date", "time", "id", "name")
_MOST_PROBLEMS = 20  # problems that are reported for the placeholders of one text


def check_placeholders(
    reader: Reader, specs: Sequence[RunSpec], root: Path | None
) -> None:
    """Complain about names in `specs` that do not exist, and about values that cannot be used.

    The specs are samples of one config's sweep. A fault that several of them have is reported once.
    """
    check = _PlaceholderCheck(reader, root)
    for spec in specs:
        check.run(spec, is_swept=len(specs) > 1)


class _PlaceholderCheck:
    def __init__(self, reader: Reader, root: Path | None) -> None:
        self._reader = reader
        self._root = root
        self._reported: set[tuple[KeyPath, Placeholder | None]] = set()
        self._prefix = ""  # of messages; it names the run of a sweep

    def run(self, spec: RunSpec, *, is_swept: bool) -> None:
        self._prefix = ""
        if is_swept:
            self._prefix = f"in '{spec.label}' "
        for index, task in enumerate(spec.tasks):
            values = task_config(spec, task, "/")
            self._check_command(("tasks", index, "command"), task, values)
            self._check_cache(("tasks", index, "gitorch", "cache"), spec, task)
        if spec.output_dir is not None:
            self._check_output_dir(spec, spec.output_dir)

    def _check_output_dir(self, spec: RunSpec, written: str) -> None:
        position = ("outputDir",)
        values: dict[str, Any] = dict(spec.params)
        for name in OUTPUT_NAMES:
            values[name] = "x"
        values["name"] = spec.name
        if not self._all_exist(position, written, placeholders_of(written), values):
            return
        filled = fill_text(written, values)
        try:
            path_in_repository(self._root, filled)
        except BadPath as error:
            message = f"filled in, 'outputDir' is '{filled}', which {error}"
            self._complain(position, message, OUTPUT_HINT)

    def _check_command(
        self, position: KeyPath, task: TaskSpec, values: Mapping[str, Any]
    ) -> None:
        command = task.command
        if command is None:
            return
        program = command if isinstance(command, str) else command[0]
        if not program.strip():
            self._complain(position, "'command' must not be empty")
        if "\0" in "".join(command):
            self._complain(
                position, "'command' holds a NUL character, which no command can"
            )
            return
        holes = placeholders(command, double_braces=task.double_braces)
        unquoted = [hole for hole in holes if not hole.quoted]
        if not self._all_exist(position, command, unquoted, values):
            return
        self._check_quoted(position, command, holes, values)
        if "\0" in "".join(fill(command, values, double_braces=task.double_braces)):
            message = (
                "filled in, 'command' holds a NUL character, which no command can"
            )
            self._complain(position, message)

    def _check_quoted(
        self,
        position: KeyPath,
        command: str | tuple[str, ...],
        holes: Sequence[Placeholder],
        values: Mapping[str, Any],
    ) -> None:
        """Complain about parameters inside quotes.

        Other names there are the braces of another language, such as a format of curl.
        """
        quoted = []
        for hole in holes:
            if hole.quoted and is_known(hole.name, values):
                quoted.append(hole)
        for hole in quoted[:_MOST_PROBLEMS]:
            message = (
                f"{{{hole.name}}} stands where the shell takes quotes literally"
            )
            hint = (
                "remove the quotes around it: the value is quoted when it is filled in; "
                f"to mean braces, double them: {{{{{hole.name}}}}}"
            )
            self._complain_of(position, command, hole, message, hint)

    def _check_cache(
        self, own_position: KeyPath, spec: RunSpec, task: TaskSpec
    ) -> None:
        """Check the names in `cache: {params: …}` of a task, or of the file if it has none."""
        if task.cache is None or task.cache.params is None:
            return
        has_own = self._reader.document.node(own_position)
        position = own_position if has_own else ("gitorch", "cache")
        params = seen_params(spec, task)
        for index, name in enumerate(task.cache.params):
            if not is_known(name, params):
                near = did_you_mean(name, params)
                message = f"{self._prefix}task '{task.id}' has no parameter '{name}'{near}"
                hint = "name parameters as the task sees them; without 'params' all of them count"
                self._complain((*position, "params", index), message, hint)

    def _all_exist(
        self,
        position: KeyPath,
        text: str | tuple[str, ...],
        holes: Iterable[Placeholder],
        values: Mapping[str, Any],
    ) -> bool:
        """Return True if all placeholders of a text name a value. Complain about the others."""
        unknown = [hole for hole in holes if not is_known(hole.name, values)]
        for hole in unknown[:_MOST_PROBLEMS]:
            near = did_you_mean(hole.name, values)
            message = f"{self._prefix}there is no parameter '{hole.name}'{near}"
            hint = f"to mean braces, double them: {{{{{hole.name}}}}}"
            if position == ("outputDir",):
                hint = f"to mean braces, put blanks in them: {{ {hole.name} }}"
            self._complain_of(position, text, hole, message, hint)
        return not unknown

    def _complain_of(
        self,
        position: KeyPath,
        text: str | tuple[str, ...],
        hole: Placeholder,
        message: str,
        hint: str | None = None,
    ) -> None:
        """Complain about one placeholder in a text, or in one word of a list."""
        word = text if isinstance(text, str) else text[hole.item or 0]
        if hole.item is not None:
            position = (*position, hole.item)
        written = f"{{{hole.name}}}"
        part = (written, word.count(written, 0, hole.start))
        self._complain(position, message, hint, hole, part=part)

    def _complain(
        self,
        position: KeyPath,
        message: str,
        hint: str | None = None,
        hole: Placeholder | None = None,
        *,
        part: tuple[str, int] | None = None,
    ) -> None:
        """Complain about a placeholder, or about the value at a position, but only once."""
        if (position, hole) not in self._reported:
            self._reported.add((position, hole))
            self._reader.complain(position, message, hint, part=part)
