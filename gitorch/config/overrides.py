"""Overrides of a config with `-S`: `key=value` sets, `key=value,value` sweeps, `~key` drops."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from gitorch.config.document import (
    Document,
    KeyPath,
    Node,
    SourceText,
    Span,
    graft,
    list_node,
)
from gitorch.config.override_value import parse_value
from gitorch.config.parameters import KeyRefusal, Parameters
from gitorch.model.problem import Problem, Severity
from gitorch.model.sweep import parse_range
from gitorch.model.text.spelling import did_you_mean
from gitorch.model.values import are_identical

_EXCLUDE = ("gitorch", "exclude")
_HOW = "write key=value, key=value,value to sweep it, or ~key to drop it"


def override(document: Document, options: Sequence[str]) -> Document:
    """Return the document with the options applied in their order. This never raises.

    Problems with the options point into a source that has one option on each line.
    """
    if not isinstance(document.value, dict) or not options:
        return document
    overrides = _Overrides(document)
    source = SourceText.of("-S", "\n".join(options))
    start = 0
    for option in options:
        overrides.apply(Span(start, start + len(option), source))
        start += len(option) + 1
    return overrides.document


def changed_keys(
    before: Document, after: Document, options: Sequence[str]
) -> tuple[str, ...]:
    """Return the keys that the options set to one value which differs from the value before.

    Keys that are swept, and those that the options drop, are left out.
    """
    parameters = Parameters(after.value)
    changed: dict[str, None] = {}
    for option in options:
        key, equals, _ = option.partition("=")
        key = key.rstrip()
        target = parameters.target(key)
        if not equals or isinstance(target, KeyRefusal):
            continue
        position = parameters.position(target)
        old, new = before.node(position), after.node(position)
        if new and not (old and are_identical((old.value, new.value))):
            changed[key] = None
    return tuple(changed)


class _Overrides:
    """A document to which options are applied one after the other."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._written = Parameters(document.value)
        # The keys that the options before have set or dropped, with their values as written.
        self._given: dict[str, str | None] = {}

    def apply(self, option: Span) -> None:
        """Apply an option, or complain about it."""
        text = option.text
        if not text.isprintable():
            self._complain(
                option.problem("it holds a character that cannot be seen")
            )
            return
        start, end, source = option
        if text.startswith("~"):
            dropped = Span(start + 1, end, source)
            if self._is_new(dropped, None):
                self._drop(dropped)
            return
        name, equals, value = text.partition("=")
        end_of_key = start + len(name.rstrip())
        key = Span(start, end_of_key, source)
        if not (key.text and equals):
            self._complain(
                option.problem(f"'{text}' does not change anything", _HOW)
            )
        elif not value.strip():
            hint = f'write {name}=null, or {name}="" for an empty text'
            self._complain(option.problem(f"'{name}' is given no value", hint))
        elif self._is_new(key, value.strip()):
            self._set(key, Span(end - len(value), end, source))

    def _is_new(self, key: Span, value: str | None) -> bool:
        """Return True if an option does not undo one before it. Complain otherwise.

        `value` is None if the option drops the key.
        """
        name = key.text
        undone = [given for given in self._given if given.startswith(f"{name}.")]
        if name in self._given:
            before = self._given[name]
            hint = "keep one of the options"
            if before is not None and value is not None:
                swept = shlex.quote(f"{name}={before},{value}")
                hint = f"-S {swept} sweeps it; or {hint}"
            self._complain(key.problem(f"'{name}' is given twice", hint))
            return False
        if undone:
            message = f"'{name}' would undo '{undone[0]}', which is given before it"
            self._complain(key.problem(message, f"give '{name}' first"))
            return False
        self._given[name] = value
        return True

    def _set(self, key: Span, value: Span) -> None:
        """Set a parameter to the value at the span `value`, or sweep it over several values."""
        parameters = Parameters(self.document.value)
        target = parameters.target(key.text)
        if isinstance(target, KeyRefusal):
            self._complain(key.problem(*target))
            return
        node, is_sweep = self._parse(key.text, value)
        if node is None:
            return
        self._warn_of_include(key)
        swept = self._swept_position(key.text)
        if is_sweep:
            in_matrix = ("gitorch", "matrix", key.text)
            self._graft(swept or in_matrix, node, key)
        elif swept:
            self._graft(swept, self._repeated(node, swept), key)
        else:
            warning = self._written.near_miss(target, also=self._written.swept)
            if warning:
                self._complain(key.problem(warning, severity=Severity.WARNING))
            self._graft(parameters.position(target), node, key)

    def _warn_of_include(self, key: Span) -> None:
        """Warn if `include` lists values of a key, since they override the option."""
        message = f"'include' sets '{key.text}' too, and the points that it lists keep their values"
        for point in self._listed("include"):
            if isinstance(point, dict) and key.text in point:
                self._complain(key.problem(message, severity=Severity.WARNING))
                return

    def _parse(self, key: str, value: Span) -> tuple[Node | None, bool]:
        """Return the node of a value, and True if the value is a list or a range to be swept.

        The node is None if the value cannot be read.
        """
        range_node = Node(value.text.strip(), value)
        try:
            if parse_range(value.text) is not None:
                return range_node, True
        except ValueError:
            return (
                range_node,
                True,
            )  # the step is 0, about which the sweep pass complains
        items, problems = parse_value(key, value)
        self._complain(*problems)
        if not items:
            return None, False
        for item in items:
            if isinstance(item.value, str) and item.value.startswith("range("):
                message = f"'{value.text}' is not a range"
                self._complain(
                    value.problem(message, "write it like range(1,6), by itself")
                )
                return None, False
        if len(items) == 1:
            return items[0], False
        return list_node(items, value), True

    def _swept_position(self, key: str) -> KeyPath | None:
        """Return the position of a key in `matrix` or `zip`, or None if neither lists it."""
        for name in ("matrix", "zip"):
            if self.document.node(("gitorch", name, key)):
                return ("gitorch", name, key)
        return None

    def _listed(self, name: str) -> list[Any]:
        """Return the items of a list under `gitorch`, or none if there is no such list."""
        node = self.document.node(("gitorch", name))
        if node is None or not isinstance(node.value, list):
            return []
        return node.value

    def _repeated(self, value: Node, swept: KeyPath) -> Node:
        """Return the list that replaces the list at `swept` when an option gives a single value.

        All lists in `zip` must be equally long, so the value is repeated there.
        """
        replaced = self.document.node(swept)
        length = 1
        if replaced and isinstance(replaced.value, list) and swept[1] == "zip":
            length = len(replaced.value)
        return list_node([value] * length, value.span)

    def _drop(self, key: Span) -> None:
        """Drop a key from the sweep, or from the file if it is not swept.

        Combinations in `exclude` that name the key are dropped with it.
        """
        parameters = Parameters(self.document.value)
        target = parameters.target(key.text)
        if isinstance(target, KeyRefusal):
            self._complain(key.problem(*target))
            return
        position = self._swept_position(key.text) or parameters.position(target)
        if self.document.node(position) is None:
            near = did_you_mean(key.text, self.document.value)
            self._complain(key.problem(f"there is no '{key.text}' to drop{near}"))
            return
        self._graft(position, None, key)
        excluded = self.document.node(_EXCLUDE)
        if excluded and isinstance(excluded.children, list):
            kept = []
            for point in excluded.children:
                names_key = (
                    isinstance(point.value, dict) and key.text in point.value
                )
                if not names_key:
                    kept.append(point)
            remaining = list_node(kept, excluded.span)
            self._graft(_EXCLUDE, remaining, excluded.span)

    def _graft(self, position: KeyPath, node: Node | None, key: Span) -> None:
        document = self.document
        if document.root is not None:
            root = graft(document.root, position, node, key)
            self.document = Document(document.source, root, document.problems)

    def _complain(self, *problems: Problem) -> None:
        document = self.document
        all_problems = (*document.problems, *problems)
        self.document = Document(document.source, document.root, all_problems)
