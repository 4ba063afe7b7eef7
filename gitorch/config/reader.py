"""Access to the values of a document, some of which may be misshapen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from gitorch.config.document import Document, KeyPath
from gitorch.config.paths import BadPath, relative_path
from gitorch.config.schema import check_shape
from gitorch.model.problem import Problem, Severity

_Quantity = TypeVar("_Quantity", int, float)


class Reader:
    """The well-shaped values of a document that is a mapping.

    `problems` holds all problems of the document, and begins with those of its shape. A value that
    is misshapen, or contains a misshapen value, counts as missing, so that each fault is reported
    once.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        flaws = check_shape(document)
        self.problems: list[Problem] = [flaw.problem for flaw in flaws]
        self._misshapen = {flaw.position for flaw in flaws}
        # Misshapen, or around a misshapen value.
        self._unsound: set[KeyPath] = set()
        for position in self._misshapen:
            for length in range(1, len(position) + 1):
                self._unsound.add(position[:length])

    def complain(
        self,
        position: KeyPath,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
        part: tuple[str, int] | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a problem at a position. The arguments are those of Document.problem()."""
        problem = self.document.problem(
            position, message, hint, severity, key=key, part=part
        )
        self.problems.append(problem)

    # Values of any kind

    def get(self, *position: str | int, default: Any = None) -> Any:
        """Return the value at a position, or the default if it is missing or misshapen."""
        value = self.document.value
        for step in position:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return default
        if not self.is_sound(position):
            return default
        return value

    def children(self, position: KeyPath) -> dict[Any, Any]:
        """Return the well-shaped items of the mapping or list at a position, by key or index."""
        node = self.document.node(position)
        if node is None or position in self._misshapen:
            return {}
        value = node.value
        pairs: Iterable[tuple[Any, Any]] = enumerate(value)
        if isinstance(value, dict):
            pairs = value.items()
        children = {}
        for step, item in pairs:
            if self.is_sound((*position, step)):
                children[step] = item
        return children

    def is_sound(self, position: KeyPath) -> bool:
        """Return True if nothing in the value at a position is misshapen."""
        return position not in self._unsound

    def tasks(self) -> dict[int, dict[str, Any]]:
        """Return the tasks that are mappings, by their index."""
        tasks = self.document.value.get("tasks")
        if not isinstance(tasks, list):
            return {}
        mappings: dict[int, dict[str, Any]] = {}
        for index, task in enumerate(tasks):
            if isinstance(task, dict):
                mappings[index] = task
        return mappings

    # Values of one kind

    def path(
        self,
        position: KeyPath,
        written: str,
        normalise: Callable[[str], str],
        hint: str,
    ) -> str | None:
        """Return a path in normal form. Complain and return None if `normalise` raises BadPath."""
        try:
            return normalise(written)
        except BadPath as error:
            self.complain(position, f"'{written}' {error}", error.hint or hint)
            return None

    def paths(
        self,
        position: KeyPath,
        hint: str,
        normalise: Callable[[str], str] = relative_path,
    ) -> dict[int, str]:
        """Return the valid paths of the list at a position, by their index."""
        paths: dict[int, str] = {}
        for index, written in self.children(position).items():
            path = self.path((*position, index), written, normalise, hint)
            if path is not None:
                paths[index] = path
        return paths

    def whole_number(self, position: KeyPath) -> int:
        """Return the whole number at a position, or 0 if it is missing. 2.0 is a whole number."""
        return int(self.get(*position, default=0))

    def quantity(
        self,
        position: KeyPath,
        parse: Callable[[str | float], _Quantity],
        hint: str,
    ) -> _Quantity | None:
        """Return the parsed quantity at a position, or None if it is missing.

        Complain and return None if the quantity is invalid.
        """
        written = self.get(*position)
        if written is None:
            return None
        try:
            return parse(written)
        except ValueError as error:
            self.complain(position, f"'{written}' {error}", hint)
            return None
