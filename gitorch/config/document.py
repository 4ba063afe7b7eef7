"""A file as plain JSON values, together with the position of each value."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.model.problem import Problem, Severity

LONGEST_EXCERPT = 1_000  # characters of a line: a longer line is not shown

# The position of a value: the keys and indexes that lead to it, like ("tasks", 1, "method").
KeyPath = tuple[str | int, ...]


class SourceText(Struct, frozen=True):
    """The text of a file or of the options `-S`.

    `lines` holds the start and the end of each line. `end` is the index behind the last character
    that is not blank.
    """

    file: str
    text: str
    lines: tuple[tuple[int, int], ...]
    end: int

    @classmethod
    def of(cls, file: str, text: str) -> SourceText:
        lines: list[tuple[int, int]] = []
        line_start = 0
        for line_break in re.finditer(r"\r\n?|\n", text):
            lines.append((line_start, line_break.start()))
            line_start = line_break.end()
        lines.append((line_start, len(text)))
        return cls(file, text, tuple(lines), end=len(text.rstrip()))

    def line(self, index: int) -> int:
        """Return the number of the line, counted from 1, that holds the character at `index`."""
        return bisect_right(self.lines, index, key=itemgetter(0))


class Span(NamedTuple):
    """A part of a source, from the character at `start` to the one before `end`."""

    start: int
    end: int
    source: SourceText

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def problem(
        self,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Return a problem that points at this span."""
        source = self.source
        # A problem at the end of a file is shown behind the last word, not on an empty line.
        start = min(self.start, source.end)
        number = source.line(start)
        line_start, line_end = source.lines[number - 1]
        end = min(self.end, line_end)
        excerpt = ""
        if line_end - line_start <= LONGEST_EXCERPT:
            excerpt = source.text[line_start:line_end]
        return Problem(
            file=source.file,
            line=number,
            column=start - line_start + 1,
            length=max(1, end - start),
            message=message,
            hint=hint,
            severity=severity,
            excerpt=excerpt,
        )


# The values of a mapping by their keys, each with the span of its key.
Children = Mapping[str, tuple[Span, "Node"]]


class Node(Struct, frozen=True):
    """One value and its span.

    `size` is the number of values in the node, and `height` the number of levels, with aliases
    expanded.
    """

    value: Any
    span: Span
    children: Children | list[Node] | None = None
    size: int = 1
    height: int = 1

    @property
    def is_null(self) -> bool:
        """Return True if the value is written as null or ~. It is not if it is left out."""
        return self.value is None and bool(self.span.text.strip())


def mapping_node(children: Children, span: Span) -> Node:
    """Return a mapping of nodes, which may come from different sources."""
    values = {name: node.value for name, (_, node) in children.items()}
    return Node(values, span, children)


def list_node(items: list[Node], span: Span) -> Node:
    return Node([item.value for item in items], span, items)


def graft(tree: Node, position: KeyPath, node: Node | None, key: Span) -> Node:
    """Return a copy of `tree` with `node` at `position`, and its key at the span `key`.

    If `node` is None, the value at `position` is removed. Missing mappings on the way are created.
    Raises IndexError if a list on the way does not have the index.
    """
    step, *rest = position
    if isinstance(tree.children, list) and isinstance(step, int):
        items = list(tree.children)
        item = items[step]
        items[step] = graft(item, tuple(rest), node, key)
        return list_node(items, tree.span)
    children: dict[str, tuple[Span, Node]] = {}
    if isinstance(tree.children, dict):
        children.update(tree.children)
    name = str(step)
    if rest:
        if name not in children:
            children[name] = key, mapping_node({}, key)
        inner_key, inner = children[name]
        children[name] = inner_key, graft(inner, tuple(rest), node, key)
    elif node is None:
        children.pop(name, None)
    else:
        children[name] = key, node
    return mapping_node(children, tree.span)


class Document(Struct, frozen=True):
    """The values of a file. `root` is None if the file is empty or cannot be read."""

    source: SourceText
    root: Node | None
    problems: tuple[Problem, ...]

    @property
    def file(self) -> str:
        return self.source.file

    @property
    def value(self) -> Any:
        if self.root is None:
            return None
        return self.root.value

    def problem(
        self,
        position: KeyPath,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
        *,
        key: bool = False,
        part: tuple[str, int] | None = None,
    ) -> Problem:
        """Return a problem that points at the value at `position`.

        If there is no such value, the problem points at the closest value around the position.
        With `key`, it points at the key of the value instead. With `part`, a text and a number, it
        points at that occurrence (counted from 0) of the text inside the value.
        """
        if self.root is None:
            return Span(0, 0, self.source).problem(message, hint, severity)
        key_span, node = self._nodes_along(position)[-1]
        span = node.span
        is_empty = span.start == span.end
        if key_span and (key or is_empty):
            span = key_span
        if part:
            span = _occurrence(node.span, *part) or span
        return span.problem(message, hint, severity)

    def node(self, position: KeyPath) -> Node | None:
        """Return the node at `position`, or None if there is none."""
        node = self.root
        for step in position:
            children = node.children if node else None
            if isinstance(children, dict) and step in children:
                _, node = children[str(step)]
            elif (
                isinstance(children, list)
                and isinstance(step, int)
                and step < len(children)
            ):
                node = children[step]
            else:
                return None
        return node

    def _nodes_along(self, position: KeyPath) -> list[tuple[Span | None, Node]]:
        """Return the nodes from the root to `position`, each with the span of its key.

        The list ends where the document does not have the next node.
        """
        if self.root is None:
            return []
        nodes: list[tuple[Span | None, Node]] = [(None, self.root)]
        for step in position:
            _, node = nodes[-1]
            match node.children:
                case dict() as children if step in children:
                    nodes.append(children[str(step)])
                case list() as items if isinstance(step, int) and step < len(items):
                    nodes.append((None, items[step]))
                case _:
                    break
        return nodes


def _occurrence(span: Span, text: str, number: int) -> Span | None:
    """Return the span of an occurrence of `text`, counted from 0.

    Return None if there is no such occurrence, since the source may contain escapes.
    """
    matches = list(re.finditer(re.escape(text), span.text))
    if number >= len(matches):
        return None
    start = span.start + matches[number].start()
    return Span(start, start + len(text), span.source)


def kind_in_words(value: Any) -> str:
    """Return the kind of a value, in words that people who write YAML use."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"
