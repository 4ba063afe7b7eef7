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
from gitorch.model.run.command_line import (
    OUTPUT,
    command_line,
    names_words,
    params_named,
)
from gitorch.model.run.spec import RunSpec, TaskSpec, seen_params, task_config
from gitorch.model.text.placeholders import (
    Placeholder,
    fill_text,
    is_known,
    placeholders,
    placeholders_of,
)
from gitorch.model.text.spelling import did_you_mean
from gitorch.model.workspace import OUTPUT_FROM_TREE

# Names that outputDir may contain in braces besides parameters. They are filled in when the run is
# created.
OUTPUT_NAMES = ("date", "time", "id", "name")
# Characters that end a word of the shell, apart from blanks.
_BETWEEN_WORDS = ";&|()<>`"
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
            self._check_command(("tasks", index, "command"), spec, task)
            self._check_cache(("tasks", index, "gitorch", "cache"), spec, task)
        if spec.output_dir is not None:
            self._check_output_dir(spec, spec.output_dir)
        if spec.params_file is not None:
            self._check_params_file(spec)

    def _check_params_file(self, spec: RunSpec) -> None:
        """Complain about tasks that would write different parameters at the same time."""
        for task in spec.tasks:
            for other in spec.beside(task):
                if seen_params(spec, task) == seen_params(spec, other):
                    continue
                message = (
                    f"the tasks '{task.id}' and '{other.id}' have different parameters, "
                    f"and may run at the same time with one {spec.params_file}"
                )
                hint = f"let one follow the other: needs: [{task.id}]"
                self._complain(("gitorch", "paramsFile"), message, hint)
                return

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
        self, position: KeyPath, spec: RunSpec, task: TaskSpec
    ) -> None:
        command = task.command
        if command is None:
            return
        values = {OUTPUT: OUTPUT_FROM_TREE, **task_config(spec, task, "/")}
        program = command if isinstance(command, str) else command[0]
        if not program.strip():
            self._complain(position, "'command' must not be empty")
        if "\0" in "".join(command):
            self._complain(
                position, "'command' holds a NUL character, which no command can"
            )
            return
        holes = placeholders(command, double_braces=task.double_braces)
        lists, names = _divided(holes, values)
        unquoted = [hole for hole in names if not hole.quoted]
        if not self._all_exist(position, command, unquoted, values):
            return
        self._check_quoted(position, command, names, values)
        for hole in lists[:_MOST_PROBLEMS]:
            self._check_list(position, command, hole, seen_params(spec, task))
        if "\0" in "".join(command_line(spec, task, values)):
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
            self._complain_of_quotes(position, command, hole)

    def _complain_of_quotes(
        self, position: KeyPath, command: str | tuple[str, ...], hole: Placeholder
    ) -> None:
        message = f"{hole.text} stands where the shell takes quotes literally"
        hint = (
            "remove the quotes around it: the value is quoted when it is filled in; "
            f"to mean braces, double them: {{{hole.text}}}"
        )
        self._complain_of(position, command, hole, message, hint)

    def _check_list(
        self,
        position: KeyPath,
        command: str | tuple[str, ...],
        hole: Placeholder,
        params: Mapping[str, Any],
    ) -> None:
        """Complain about `{flags}` or the like, which stands for a list of words."""
        braces = f"to mean braces, double them: {{{hole.text}}}"
        if hole.quoted:
            self._complain_of_quotes(position, command, hole)
        elif _is_part_of_word(command, hole):
            message = (
                f"{hole.text} stands for a list of words, and is part of one word"
            )
            hint = f"put blanks around it; {braces}"
            if hole.item is not None:
                hint = f"make it an item of its own; {braces}"
            self._complain_of(position, command, hole, message, hint)
        elif hole.item == 0:
            message = f"{hole.text} stands where the name of a program must be"
            self._complain_of(position, command, hole, message, braces)
        elif hole.selection is not None and not hole.selected:
            message = f"{hole.text} names no parameter"
            hint = f"{{{hole.name}}} stands for all of them; {braces}"
            self._complain_of(position, command, hole, message, hint)
        for name in hole.selected:
            if name not in params_named(hole, params):
                near = did_you_mean(name, params)
                message = f"{self._prefix}there is no parameter '{name}'{near}"
                self._complain_of(position, command, hole, message, braces)

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
            hint = f"to mean braces, double them: {{{hole.text}}}"
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
        part = (hole.text, word.count(hole.text, 0, hole.start))
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


def _divided(
    holes: Iterable[Placeholder], values: Mapping[str, Any]
) -> tuple[list[Placeholder], list[Placeholder]]:
    """Divide placeholders into those that stand for lists of words and those that name a value."""
    lists, names = [], []
    for hole in holes:
        is_value = hole.selection is None and is_known(hole.name, values)
        if names_words(hole) and not is_value:
            lists.append(hole)
        else:
            names.append(hole)
    return lists, names


def _is_part_of_word(command: str | tuple[str, ...], hole: Placeholder) -> bool:
    """Return True if more characters of the same word are before or after the placeholder."""
    if hole.item is not None:
        return command[hole.item] != hole.text
    text = f" {command} "
    around = text[hole.start] + text[hole.end + 1]
    return any(not (c.isspace() or c in _BETWEEN_WORDS) for c in around)
