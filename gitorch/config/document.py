"""A YAML file as plain JSON values, together with the place of each of them.

Values follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), where PyYAML's own loaders
follow 1.1: there `1e-3` is text, `017` is 15, `1:30` is 90 and `no` is false. The tree is built from the parser's
events, since its own composer recurses in C: 100,000 times `[` end the process.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, cast

import yaml
from yaml import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from gitorch.model.problem import Problem, Severity

LARGEST = 1 << 20  # bytes of a file
DEEPEST = 100  # levels of nesting
MOST = 100_000  # values, those that aliases repeat included
LONGEST_EXCERPT = 1_000  # characters of a line: a longer one is not shown
LONGEST_NUMBER = 1_000  # digits: Python refuses to read or print more than 4,300

KeyPath = tuple[str | int, ...]  # the keys and indexes that lead to a value, like ("tasks", 1, "method")


class Span(NamedTuple):
    """From the first character to behind the last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it stands. `size` and `height` count what it holds, aliases expanded."""

    value: Any
    span: Span
    children: dict[str, tuple[Span, Node]] | list[Node] | None = None
    size: int = 1
    height: int = 1


NOWHERE = Node(None, Span(0, 0))


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text, the spans of its lines, and where its last word ends."""

    file: str
    text: str
    lines: tuple[Span, ...]
    end: int

    @classmethod
    def of(cls, file: str, text: str) -> Source:
        breaks = [match.span() for match in re.finditer(r"\r\n?|\n", text)]
        starts = [0, *(end for _, end in breaks)]
        ends = [*(start for start, _ in breaks), len(text)]
        return cls(file, text, tuple(map(Span, starts, ends)), len(text.rstrip()))

    def line(self, index: int) -> int:
        """The line, counted from 1, that the character at `index` is in."""
        return bisect_right(self.lines, index, key=itemgetter(0))

    def problem(
        self, span: Span, message: str, hint: str | None = None, severity: Severity = Severity.ERROR
    ) -> Problem:
        start = min(span.start, self.end)  # what is missing at the end is missed after the last word
        number = self.line(start)
        line = self.lines[number - 1]
        return Problem(
            file=self.file,
            line=number,
            column=start - line.start + 1,
            length=max(1, min(span.end, line.end) - start),
            message=message,
            hint=hint,
            severity=severity,
            excerpt=self.text[slice(*line)] if line.end - line.start <= LONGEST_EXCERPT else "",
        )


@dataclass(frozen=True, slots=True)
class Document:
    """What `parse_document` made of a file. `root` is None where it holds nothing or is not YAML."""

    source: Source
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
        name, value = self._way(path)[-1] if self.root else (None, NOWHERE)
        span = name if name and (key or value.span.start == value.span.end) else value.span
        if part:
            span = self._part(value.span, *part) or span
        return self.source.problem(span, message, hint, severity)

    def node(self, path: KeyPath) -> Node | None:
        """The value that `path` leads to, with its place."""
        way = self._way(path)
        return way[-1][1] if len(way) > len(path) else None

    def written(self, node: Node) -> str:
        return self.source.text[slice(*node.span)]

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

    def _part(self, span: Span, text: str, number: int) -> Span | None:
        found = list(re.finditer(re.escape(text), self.source.text[span.start : span.end]))
        if number >= len(found):  # written with escapes
            return None
        start, end = found[number].span()
        return Span(span.start + start, span.start + end)


class _Unreadable(Exception):
    """The file is refused as a whole, with one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def parse_document(data: bytes, file: str) -> Document:
    """Read a file. Never raises: all that is wrong with it is in the document's `problems`."""
    source = Source.of(file, data.decode("utf-8-sig", errors="replace"))
    composer = _Composer(source)
    try:
        _check_text(source, data)
        root = composer.compose()
    except _Unreadable as refusal:
        return Document(source, None, (*composer.problems, refusal.problem))
    except yaml.MarkedYAMLError as error:
        return Document(source, None, (*composer.problems, _syntax_problem(source, error)))
    return Document(source, root, tuple(composer.problems))


# What YAML allows in a file: https://yaml.org/spec/1.2.2/#51-character-set
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def _check_text(source: Source, data: bytes) -> None:
    if len(data) > LARGEST:
        message = f"the file has {len(data):,} bytes, a config has at most {LARGEST:,}"
        raise _Unreadable(source.problem(Span(0, 1), message, "name a data file in it instead"))
    try:
        data.decode()
    except UnicodeDecodeError as error:
        index = len(data[: error.start].decode("utf-8-sig"))
        message = f"the file is not UTF-8: byte 0x{data[error.start]:02x}"
        raise _Unreadable(source.problem(Span(index, index + 1), message, "save it as UTF-8")) from None
    if found := _FORBIDDEN.search(source.text):
        message = f"the character U+{ord(found[0]):04X} is not allowed in YAML"
        raise _Unreadable(source.problem(Span(*found.span()), message, 'write it as an escape in a "quoted" text'))


class _Composer:
    """Builds the tree of nodes from the parser's events, and notes what is wrong on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.open: list[str | None] = []  # the anchors of the collections around the current event
        self.size = 0
        self.events: Iterator[Event] = iter(())

    def compose(self) -> Node | None:
        self.events = yaml.parse(self.source.text, Loader=yaml.CSafeLoader)
        root = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise self._refusal(
                        event, "a second document begins here", "one file is one config: remove the ---"
                    )
                root = self._node(next(self.events))
        return root

    def _node(self, event: Event) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._count(event, size=1, height=1)
        event = cast("ScalarEvent | CollectionStartEvent", event)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._complain(_span(event), f"YAML tags are not supported: {tag}", "write the value without it")
        node = self._scalar(event) if isinstance(event, ScalarEvent) else self._collection(event)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent) -> Node:
        anchor = str(event.anchor)
        if anchor in self.open:
            raise self._refusal(event, f"the alias *{anchor} stands for what it is part of", None)
        node = self.anchors.get(anchor)
        if node is None:
            raise self._refusal(event, f"the alias *{anchor} has no anchor &{anchor} before it", None)
        self._count(event, size=node.size, height=node.height)
        return node

    def _count(self, event: Event, *, size: int, height: int) -> None:
        self.size += size
        if self.size > MOST:
            raise self._refusal(event, f"more than {MOST:,} values, aliases expanded", "name a data file instead")
        if len(self.open) + height > DEEPEST:
            raise self._refusal(event, f"nested deeper than {DEEPEST} levels", None)

    def _collection(self, start: NodeEvent) -> Node:
        before = self.size
        self.open.append(start.anchor)
        build = self._mapping if isinstance(start, MappingStartEvent) else self._sequence
        value, children, nodes, end = build()
        self.open.pop()
        height = 1 + max((node.height for node in nodes), default=0)
        span = Span(_span(start).start, _span(end).end)
        return Node(value, span, children, 1 + self.size - before, height)

    def _sequence(self) -> tuple[Any, list[Node], list[Node], Event]:
        nodes: list[Node] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            nodes.append(self._node(event))
        return [node.value for node in nodes], nodes, nodes, event

    def _mapping(self) -> tuple[Any, dict[str, tuple[Span, Node]], list[Node], Event]:
        children: dict[str, tuple[Span, Node]] = {}
        nodes: list[Node] = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            key, value = self._node(event), self._node(next(self.events))
            nodes += [key, value]
            if not self._is_fit_key(key):
                continue
            if key.value in children:
                line = self.source.line(children[key.value][0].start)
                self._complain(
                    key.span, f"duplicate key '{key.value}'", f"line {line} has it already: keep one of them"
                )
            else:
                children[key.value] = key.span, value
        return {name: node.value for name, (_, node) in children.items()}, children, nodes, event

    def _is_fit_key(self, key: Node) -> bool:
        written = self.source.text[slice(*key.span)]
        if written == "<<":
            hint = "write the keys out: merging is not part of YAML 1.2"
            self._complain(key.span, "'<<' does not merge here", hint)
        elif key.children is not None:
            self._complain(key.span, "a key must be text, not a list or a mapping")
        elif not isinstance(key.value, str):
            hint = f'quote it: "{written}"' if written else "write a key before the ':'"
            self._complain(key.span, f"a key must be text, not {kind_of(key.value)}", hint)
        else:
            return True
        return False

    def _scalar(self, event: ScalarEvent) -> Node:
        span = _span(event)
        if event.tag is not None or not event.implicit[0]:
            return Node(event.value, span)
        try:
            return Node(core_value(event.value), span)
        except ValueError as error:
            self._complain(span, str(error), f'quote it to pass text: "{event.value[:40]}"')
            return Node(None, span)

    def _complain(self, span: Span, message: str, hint: str | None = None) -> None:
        self.problems.append(self.source.problem(span, message, hint))

    def _refusal(self, event: Event, message: str, hint: str | None) -> _Unreadable:
        return _Unreadable(self.source.problem(_span(event), message, hint))


def _span(event: Event) -> Span:
    start, end = cast("yaml.Mark", event.start_mark), cast("yaml.Mark", event.end_mark)
    return Span(start.index, end.index)


_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def core_value(text: str) -> Any:
    """What an unquoted scalar means. ValueError: a number that JSON, which records are written in, cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"'{text}' cannot be recorded: records are JSON, which has no infinity and no NaN")
    for pattern, convert in _NUMBERS:
        if pattern.fullmatch(text):
            if len(text) > LONGEST_NUMBER or abs(convert(text)) == math.inf:  # isfinite() is for floats
                raise ValueError("the number is too large to be recorded")
            return convert(text)
    return text


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


_TAB = "YAML does not indent with tabs"
_QUOTE = "quote the value"
_SYNTAX_HINTS = {
    "mapping values are not allowed in this context": "quote a value that holds ': ', or mend the indentation",
    "did not find expected key": "mend the indentation; quote a value that goes on after a }, a ] or a closing quote",
    "could not find expected ':'": "a key is followed by ': '",
    "found unexpected end of stream": "the closing quote is missing",
    "did not find expected ',' or ']'": "the closing ] is missing",
    "did not find expected ',' or '}'": "the closing } is missing",
    "did not find expected '-' indicator": "mend the indentation",
    "found unknown escape character": "write the text in 'single quotes', where \\ is itself",
}


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    what = error.problem or "it cannot be read"
    begun_here = what in ("could not find expected ':'", "found unexpected end of stream")
    mark = (error.context_mark if begun_here else None) or error.problem_mark or error.context_mark
    index = mark.index if mark else 0
    hint = _SYNTAX_HINTS.get(what)
    if what == "found character that cannot start any token":
        hint = _TAB if source.text[index : index + 1] == "\t" else _QUOTE
    context = f" {error.context}" if error.context else ""
    return source.problem(Span(index, index + 1), f"not valid YAML: {what}{context}", hint)
