"""Reading a document whose shape may be wrong in places: what is well-shaped is read, what is not is complained of."""

from __future__ import annotations

from typing import Any

from gitorch.config.document import Document, KeyPath
from gitorch.config.schema import check_shape
from gitorch.model.problem import Problem, Severity


class Reader:
    """The values of a document that is a mapping, as far as they have the shape of a config's.

    What is wrong with it, its shape to begin with, is gathered in `problems`.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        flaws = check_shape(document)
        self.problems: list[Problem] = [flaw.problem for flaw in flaws]
        self._flawed = {flaw.path for flaw in flaws}
        self._touched = {path[: end + 1] for path in self._flawed for end in range(len(path))}

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The value that `path` leads to, or the default where there is none or something in it is misshapen."""
        value = self.document.value
        for step in path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return default
        return default if path in self._touched else value

    def items(self, path: KeyPath) -> list[tuple[Any, Any]]:
        """What the mapping or list that `path` leads to holds, with keys or indexes, less what is misshapen."""
        node = None if path in self._flawed else self.document.node(path)
        held = node.value if node else ()
        pairs = held.items() if isinstance(held, dict) else enumerate(held)
        return [(step, value) for step, value in pairs if (*path, step) not in self._touched]

    def is_sound(self, path: KeyPath) -> bool:
        """Whether nothing in what `path` leads to is misshapen."""
        return path not in self._touched

    def complain(
        self,
        path: KeyPath,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
        part: tuple[str, int] | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.problems.append(
            self.document.problem(path, message, hint, severity, key=key, part=part)
        )
