"""What `-S` says, laid over a config: `key=value`, `key=value,value` for a sweep, `~key` to drop it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitorch.config.document import Document, KeyPath, Node, SourceText, Span, grafted, list_node
from gitorch.config.parameters import Parameters, Refusal
from gitorch.config.parsing import parse_items
from gitorch.model.problem import Problem, Severity
from gitorch.model.sweep import parse_range
from gitorch.model.text.spelling import did_you_mean

_HOW = "write key=value, key=value,value to sweep it, or ~key to drop it"


def overridden(document: Document, options: Sequence[str]) -> Document:
    """The document with what the options say in it; each is a line of one source. Never raises."""
    if document.root is None or not isinstance(document.value, dict) or not options:
        return document
    overriding = _Overriding(document)
    source = SourceText.of("-S", "\n".join(options))
    start = 0
    for option in options:
        overriding.take(Span(start, start + len(option), source))
        start += len(option) + 1
    return overriding.document


class _Overriding:
    def __init__(self, document: Document) -> None:
        self.document = document
        self._known = Parameters(document.value)

    def take(self, option: Span) -> None:
        written = option.text
        if not written.isprintable():
            self._complain(option.problem("it holds a character that cannot be seen"))
            return
        if written.startswith("~"):
            self._drop(Span(option.start + 1, option.end, option.source))
            return
        name, equals, value = written.partition("=")
        key = Span(option.start, option.start + len(name.rstrip()), option.source)
        if not (key.text and equals):
            self._complain(option.problem(f"'{written}' says nothing to change", _HOW))
        elif not value.strip():
            self._complain(
                option.problem(
                    f"'{name}' is given no value", f'write {name}=null, or {name}="" for no text'
                )
            )
        else:
            self._set(key, Span(option.end - len(value), option.end, option.source))

    def _set(self, key: Span, given: Span) -> None:
        parameters = Parameters(self.document.value)
        place = parameters.place(key.text)
        if isinstance(place, Refusal):
            self._complain(key.problem(*place))
            return
        value, is_sweep = self._value(given)
        if value is None:
            return
        swept = self._swept_at(key.text)
        if any(isinstance(point, dict) and key.text in point for point in self._items("include")):
            message = (
                f"'include' sets '{key.text}' too, and the points that it lists keep their values"
            )
            self._complain(key.problem(message, severity=Severity.WARNING))
        if is_sweep:
            self._graft(swept or ("gitorch", "matrix", key.text), value, key)
        elif swept:
            self._graft(swept, self._repeated(value, swept), key)
        else:
            if warning := self._known.near_miss(place, beside=self._known.swept):
                self._complain(key.problem(warning, severity=Severity.WARNING))
            self._graft(parameters.path(place), value, key)

    def _value(self, given: Span) -> tuple[Node | None, bool]:
        """What is given, and whether it is the values of a sweep; None where it cannot be read."""
        try:
            if parse_range(given.text) is not None:
                return Node(given.text.strip(), given), True
        except ValueError:
            return Node(
                given.text.strip(), given
            ), True  # its step is 0: said where all ranges are read
        items, problems = parse_items(given)
        self._complain(*problems)
        if problems or not items:
            return None, False
        if any(isinstance(item.value, str) and item.value.startswith("range(") for item in items):
            self._complain(
                given.problem(f"'{given.text}' is no range", "write it like range(1,6), by itself")
            )
            return None, False
        return (items[0], False) if len(items) == 1 else (list_node(items, given), True)

    def _swept_at(self, key: str) -> KeyPath | None:
        paths = (("gitorch", name, key) for name in ("matrix", "zip"))
        return next((path for path in paths if self.document.node(path)), None)

    def _items(self, name: str) -> list[Any]:
        """What is listed in this part of the sweep; nothing where it is no list."""
        found = self.document.node(("gitorch", name))
        return found.value if found and isinstance(found.value, list) else []

    def _repeated(self, value: Node, swept: KeyPath) -> Node:
        """One value in the place of a list; of lists that are taken together as often as that was long."""
        before = self.document.node(swept)
        length = (
            len(before.value)
            if before and isinstance(before.value, list) and swept[1] == "zip"
            else 1
        )
        return list_node([value] * length, value.span)

    def _drop(self, key: Span) -> None:
        """From the sweep, with the combinations that are excluded for it; else from the file."""
        parameters = Parameters(self.document.value)
        place = parameters.place(key.text)
        if isinstance(place, Refusal):
            self._complain(key.problem(*place))
            return
        path = self._swept_at(key.text) or parameters.path(place)
        if self.document.node(path) is None:
            near = did_you_mean(key.text, self.document.value)
            self._complain(key.problem(f"there is no '{key.text}' to drop{near}"))
            return
        self._graft(path, None, key)
        excluded = self.document.node(("gitorch", "exclude"))
        if excluded and isinstance(excluded.children, list):
            left = [
                item
                for item in excluded.children
                if not (isinstance(item.value, dict) and key.text in item.value)
            ]
            self._graft(("gitorch", "exclude"), list_node(left, excluded.span), excluded.span)

    def _graft(self, path: KeyPath, value: Node | None, key: Span) -> None:
        document = self.document
        if document.root is not None:
            self.document = Document(
                document.source, grafted(document.root, path, value, key), document.problems
            )

    def _complain(self, *problems: Problem) -> None:
        document = self.document
        self.document = Document(document.source, document.root, (*document.problems, *problems))
