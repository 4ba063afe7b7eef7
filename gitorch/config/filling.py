"""What commands and outputDir have filled in, and `cache` names: that there is such a parameter, and that its value
can stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gitorch.config.document import KeyPath
from gitorch.config.places import Misplaced, place_in
from gitorch.config.reader import Reader
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

# What `{…}` in outputDir may name beside the parameters; filled in when the run is made.
OUTPUT_NAMES = ("date", "time", "id", "name")
_ENOUGH = 20  # complaints about the placeholders of one text


class Filling:
    """Checks specs of one config, each place of which is complained of once."""

    def __init__(self, reader: Reader, root: Path | None) -> None:
        self._reader = reader
        self._root = root
        self._told: set[tuple[KeyPath, Placeholder | None]] = set()
        self._of = ""

    def check(self, spec: RunSpec, *, one_of_many: bool) -> None:
        self._of = f"in '{spec.label}' " if one_of_many else ""
        for index, task in enumerate(spec.tasks):
            self._check_command(("tasks", index, "command"), task, task_config(spec, task, "/"))
            self._check_cached(("tasks", index, "gitorch", "cache"), spec, task)
        if spec.output_dir is not None:
            self._check_output_dir(spec, spec.output_dir)

    def _check_output_dir(self, spec: RunSpec, place: str) -> None:
        path = ("outputDir",)
        values = {**spec.params, **dict.fromkeys(OUTPUT_NAMES, "x"), "name": spec.name}
        if self._all_known(path, place, placeholders_of(place), values):
            filled = fill_text(place, values)
            try:
                place_in(self._root, filled)
            except Misplaced as error:
                hint = "give it a relative name: every run has an output directory of its own"
                self._complain(path, f"filled in, 'outputDir' is '{filled}', which {error}", hint)

    def _check_command(self, path: KeyPath, task: TaskSpec, values: Mapping[str, Any]) -> None:
        command = task.command
        if command is None:
            return
        first = command if isinstance(command, str) else command[0]
        if not first.strip():
            self._complain(path, "'command' must not be empty")
        holes = placeholders(command)
        if "\0" in "".join(command):
            self._complain(path, "'command' holds a NUL character, which no command can")
        elif self._all_known(path, command, holes, values):
            for hole in [hole for hole in holes if hole.quoted][:_ENOUGH]:
                message = f"{{{hole.name}}} stands where the shell takes quotes literally"
                hint = "remove the quotes around it: the value is quoted when it is filled in"
                self._complain_of(path, command, hole, message, hint)
            if "\0" in "".join(fill(command, values)):
                self._complain(
                    path, "filled in, 'command' holds a NUL character, which no command can"
                )

    def _check_cached(self, own: KeyPath, spec: RunSpec, task: TaskSpec) -> None:
        if task.cache is None or task.cache.params is None:
            return
        path = own if self._reader.document.node(own) else ("gitorch", "cache")
        seen = seen_params(spec, task)
        for position, name in enumerate(task.cache.params):
            if not is_known(name, seen):
                message = f"{self._of}task '{task.id}' has no parameter '{name}'{did_you_mean(name, seen)}"
                hint = "name parameters as the task sees them; without 'params' all of them count"
                self._complain((*path, "params", position), message, hint)

    def _all_known(
        self,
        path: KeyPath,
        text: str | tuple[str, ...],
        holes: Iterable[Placeholder],
        values: Mapping[str, Any],
    ) -> bool:
        unknown = [hole for hole in holes if not is_known(hole.name, values)]
        for hole in unknown[:_ENOUGH]:
            message = (
                f"{self._of}there is no parameter '{hole.name}'{did_you_mean(hole.name, values)}"
            )
            hint = f"to mean braces, put blanks in them: {{ {hole.name} }}"
            self._complain_of(path, text, hole, message, hint)
        return not unknown

    def _complain_of(
        self,
        path: KeyPath,
        text: str | tuple[str, ...],
        hole: Placeholder,
        message: str,
        hint: str | None = None,
    ) -> None:
        """A problem at one placeholder of a text, or of one word of a list."""
        word = text if isinstance(text, str) else text[hole.item or 0]
        place = path if hole.item is None else (*path, hole.item)
        written = f"{{{hole.name}}}"
        self._complain(
            place, message, hint, hole, part=(written, word.count(written, 0, hole.start))
        )

    def _complain(
        self,
        path: KeyPath,
        message: str,
        hint: str | None = None,
        hole: Placeholder | None = None,
        *,
        part: tuple[str, int] | None = None,
    ) -> None:
        if (path, hole) not in self._told:
            self._told.add((path, hole))
            self._reader.complain(path, message, hint, part=part)
