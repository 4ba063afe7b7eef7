"""A file as plain JSON values, together with the place of each of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.model.problem import Problem, Severity

LONGEST_EXCERPT = 1_000  # characters of a line: a longer one is not shown

KeyPath = tuple[
    str | int, ...
]  # the keys and indexes that lead to a value, like ("tasks", 1, "method")


class SourceText(Struct, frozen=True):
    """A text that values come from, where its lines begin and end, and where its last word ends."""

    file: str
    text: str
    lines: tuple[tuple[int, int], ...]
    end: int

    @classmethod
    def of(cls, file: str, text: str) -> SourceText:
        breaks = [match.span() for match in re.finditer(r"\r\n?|\n", text)]
        starts = [0, *(end for _, end in breaks)]
        ends = [*(start for start, _ in breaks), len(text)]
        return cls(file, text, tuple(zip(starts, ends, strict=True)), len(text.rstrip()))

    def line(self, index: int) -> int:
        """The line, counted from 1, that the character at `index` is in."""
        return bisect_right(self.lines, index, key=itemgetter(0))


class Span(NamedTuple):
    """From the first character to behind the last, of a source."""

    start: int
    end: int
    source: SourceText

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def problem(
        self, message: str, hint: str | None = None, severity: Severity = Severity.ERROR
    ) -> Problem:
        source = self.source
        start = min(
            self.start, source.end
        )  # what is missing at the end is missed after the last word
        number = source.line(start)
        first, end = source.lines[number - 1]
        return Problem(
            file=source.file,
            line=number,
            column=start - first + 1,
            length=max(1, min(self.end, end) - start),
            message=message,
            hint=hint,
            severity=severity,
            excerpt=source.text[first:end] if end - first <= LONGEST_EXCERPT else "",
        )


Children = Mapping[str, tuple[Span, "Node"]]  # by their keys, each with where the key stands


class Node(Struct, frozen=True):
    """One value and where it stands. `size` and `height` count what it holds, aliases expanded."""

    value: Any
    span: Span
    children: Children | list[Node] | None = None
    size: int = 1
    height: int = 1


def mapping_node(children: Children, span: Span) -> Node:
    """A mapping put together from nodes of whatever sources."""
    return Node({name: node.value for name, (_, node) in children.items()}, span, children)


def list_node(items: list[Node], span: Span) -> Node:
    return Node([item.value for item in items], span, items)


def grafted(node: Node, path: KeyPath, value: Node | None, key: Span) -> Node:
    """The tree with `value` at the end of `path`, its key standing at `key`; None takes away what is there.

    Mappings are made on the way; an index must be there.
    """
    step, *rest = path
    if isinstance(node.children, list) and isinstance(step, int):
        items = list(node.children)
        items[step] = grafted(items[step], tuple(rest), value, key)
        return list_node(items, node.span)
    children = dict(node.children) if isinstance(node.children, dict) else {}
    name = str(step)
    if rest:
        place, inner = children.get(name, (key, mapping_node({}, key)))
        children[name] = place, grafted(inner, tuple(rest), value, key)
    elif value is None:
        children.pop(name, None)
    else:
        children[name] = key, value
    return mapping_node(children, node.span)


class Document(Struct, frozen=True):
    """A file's values. `root` is None where it holds nothing, or cannot be read."""

    source: SourceText
    root: Node | None
    problems: tuple[Problem, ...]

    @property
    def file(self) -> str:
        return self.source.file

    @property
    def value(self) -> Any:
        return self.root.value if self.root else None

    def problem(
        self,
        path: KeyPath,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
        *,
        key: bool = False,
        part: tuple[str, int] | None = None,
    ) -> Problem:
        """A problem at the value that `path` leads to, or as near to it as there is something.

        `key`: at its key instead. `part`: at the nth (from 0) occurrence of a text in it.
        """
        if self.root is None:
            return Span(0, 0, self.source).problem(message, hint, severity)
        name, value = self._way(path)[-1]
        span = name if name and (key or value.span.start == value.span.end) else value.span
        if part:
            span = _part(value.span, *part) or span
        return span.problem(message, hint, severity)

    def node(self, path: KeyPath) -> Node | None:
        """The value that `path` leads to, with its place."""
        way = self._way(path)
        return way[-1][1] if len(way) > len(path) else None

    def _way(self, path: KeyPath) -> list[tuple[Span | None, Node]]:
        """The nodes from the root along `path`, as far as there are any, each with its key's span."""
        if self.root is None:
            return []
        way: list[tuple[Span | None, Node]] = [(None, self.root)]
        for step in path:
            match way[-1][1].children:
                case dict() as children if step in children:
                    way.append(children[str(step)])
                case list() as items if isinstance(step, int) and step < len(items):
                    way.append((None, items[step]))
                case _:
                    break
        return way


def _part(span: Span, text: str, number: int) -> Span | None:
    found = list(re.finditer(re.escape(text), span.text))
    if number >= len(found):  # written with escapes
        return None
    start, end = found[number].span()
    return Span(span.start + start, span.start + end, span.source)


def kind_of(value: Any) -> str:
    """The kind of a value, in the words of somebody who writes YAML."""
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
