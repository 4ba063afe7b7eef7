"""A YAML parser that keeps the position of every value.

Values follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema). PyYAML's
own loaders follow YAML 1.1, in which `1e-3` is text, `017` is 15, `1:30` is 90 and `no` is false.
The tree is built from the parser's events, because PyYAML's own composer recurses in C: a file of
100,000 times `[` ends the process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
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

from gitorch.config.document import (
    Children,
    Document,
    Node,
    SourceText,
    Span,
    kind_in_words,
)
from gitorch.model.problem import Problem

LARGEST = 1 << 20  # bytes of a file
DEEPEST = 100  # levels of nesting
MOST = 100_000  # values, including those that aliases repeat
LONGEST_NUMBER = 1_000  # digits; Python refuses to read or print more than 4,300


class _Unreadable(Exception):
    """The whole file is refused because of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def parse_document(data: bytes, file: str) -> Document:
    """Parse a file. This never raises: the document holds the problems."""
    source = SourceText.of(file, data.decode("utf-8-sig", errors="replace"))
    composer = _Composer(source)
    try:
        _check_bytes(source, data)
        root = composer.compose(Span(0, len(source.text), source))
    except _Unreadable as refusal:
        return Document(source, None, (*composer.problems, refusal.problem))
    return Document(source, root, tuple(composer.problems))


def parse_items(span: Span) -> tuple[list[Node], list[Problem]]:
    """Return the values in a text like the inside of a flow list: `0.1, [2, 3], "a, b"`."""
    composer = _Composer(span.source)
    try:
        root = composer.compose(span, "[", "]")
    except _Unreadable as refusal:
        return [], [*composer.problems, refusal.problem]
    items: list[Node] = []
    if root and isinstance(root.children, list):
        items = root.children
    return items, composer.problems


# Everything that YAML does not allow in a file: https://yaml.org/spec/1.2.2/#51-character-set
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def _check_bytes(source: SourceText, data: bytes) -> None:
    if len(data) > LARGEST:
        message = (
            f"the file has {len(data):,} bytes, a config has at most {LARGEST:,}"
        )
        raise _Unreadable(
            Span(0, 1, source).problem(message, "name a data file in it instead")
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        index = len(data[: error.start].decode("utf-8-sig"))
        message = f"the file is not UTF-8: byte 0x{data[error.start]:02x}"
        problem = Span(index, index + 1, source).problem(
            message, "save it as UTF-8"
        )
        raise _Unreadable(problem) from None


def _check_characters(span: Span) -> None:
    if match := _FORBIDDEN.search(span.source.text, span.start, span.end):
        message = f"the character U+{ord(match[0]):04X} is not allowed in YAML"
        character = Span(*match.span(), span.source)
        raise _Unreadable(
            character.problem(message, 'write it as an escape in a "quoted" text')
        )


class _Content(NamedTuple):
    """The content of a mapping or list. `nodes` includes invalid keys and their values."""

    value: Any
    children: Children | list[Node]
    nodes: list[Node]
    end: Event


class _Composer:
    """Builds the tree of nodes from the parser's events, and collects problems on the way."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.open: list[
            str | None
        ] = []  # the anchors of the collections around the current event
        self.size = 0
        self.span = Span(
            0, 0, source
        )  # the part of the source that is being parsed
        self.shift = 0  # from the parser's indexes to those of the source
        self.events: Iterator[Event] = iter(())

    def compose(self, span: Span, before: str = "", after: str = "") -> Node | None:
        """Return the tree of the text at `span`, parsed with `before` and `after` around it.

        Raises _Unreadable if the text cannot be parsed.
        """
        _check_characters(span)
        self.span, self.shift = span, span.start - len(before)
        self.events = yaml.parse(
            f"{before}{span.text}{after}", Loader=yaml.CSafeLoader
        )
        try:
            return self._document()
        except yaml.MarkedYAMLError as error:
            raise _Unreadable(self._syntax_problem(error)) from None

    def _document(self) -> Node | None:
        root = None
        for event in self.events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if root is not None:
                message = "a second document begins here"
                raise self._refusal(
                    event, message, "one file is one config: remove the ---"
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
            message = f"YAML tags are not supported: {tag}"
            self._complain(self._span(event), message, "write the value without it")
        node = (
            self._scalar(event)
            if isinstance(event, ScalarEvent)
            else self._collection(event)
        )
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent) -> Node:
        anchor = str(event.anchor)
        if anchor in self.open:
            message = f"the alias *{anchor} stands for a value that it is part of"
            raise self._refusal(event, message, None)
        node = self.anchors.get(anchor)
        if node is None:
            message = f"the alias *{anchor} has no anchor &{anchor} before it"
            raise self._refusal(event, message, None)
        self._count(event, size=node.size, height=node.height)
        return node

    def _count(self, event: Event, *, size: int, height: int) -> None:
        self.size += size
        if self.size > MOST:
            message = f"more than {MOST:,} values, aliases expanded"
            raise self._refusal(event, message, "name a data file instead")
        if len(self.open) + height > DEEPEST:
            raise self._refusal(event, f"nested deeper than {DEEPEST} levels", None)

    def _collection(self, start: NodeEvent) -> Node:
        size_before = self.size
        self.open.append(start.anchor)
        is_mapping = isinstance(start, MappingStartEvent)
        content = self._mapping() if is_mapping else self._sequence()
        self.open.pop()
        height = 1 + max((node.height for node in content.nodes), default=0)
        first, last = self._span(start), self._span(content.end)
        span = Span(first.start, last.end, self.source)
        size = 1 + self.size - size_before
        return Node(content.value, span, content.children, size, height)

    def _sequence(self) -> _Content:
        nodes: list[Node] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            nodes.append(self._node(event))
        return _Content([node.value for node in nodes], nodes, nodes, event)

    def _mapping(self) -> _Content:
        children: dict[str, tuple[Span, Node]] = {}
        nodes: list[Node] = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self._node(event)
            value = self._node(next(self.events))
            nodes += [key, value]
            if not self._is_valid_key(key):
                continue
            if key.value in children:
                first_key, _ = children[key.value]
                line = self.source.line(first_key.start)
                hint = f"line {line} has it already: keep one of them"
                self._complain(key.span, f"duplicate key '{key.value}'", hint)
            else:
                children[key.value] = key.span, value
        values = {name: node.value for name, (_, node) in children.items()}
        return _Content(values, children, nodes, event)

    def _is_valid_key(self, key: Node) -> bool:
        """Return True if `key` can be the key of a mapping. Complain otherwise."""
        written = key.span.text
        if written == "<<":
            hint = "write the keys out: merging is not part of YAML 1.2"
            self._complain(key.span, "'<<' does not merge here", hint)
        elif key.children is not None:
            self._complain(key.span, "a key must be text, not a list or a mapping")
        elif not isinstance(key.value, str):
            hint = "write a key before the ':'"
            if written:
                hint = f'quote it: "{written}"'
            self._complain(
                key.span,
                f"a key must be text, not {kind_in_words(key.value)}",
                hint,
            )
        else:
            return True
        return False

    def _scalar(self, event: ScalarEvent) -> Node:
        span = self._span(event)
        is_quoted = not event.implicit[0]
        if event.tag is not None or is_quoted:
            return Node(event.value, span)
        try:
            return Node(core_value(event.value), span)
        except ValueError as error:
            self._complain(
                span, str(error), f'quote it to pass text: "{event.value[:40]}"'
            )
            return Node(None, span)

    def _complain(self, span: Span, message: str, hint: str | None = None) -> None:
        self.problems.append(span.problem(message, hint))

    def _refusal(self, event: Event, message: str, hint: str | None) -> _Unreadable:
        return _Unreadable(self._span(event).problem(message, hint))

    def _span(self, event: Event) -> Span:
        start_mark = cast("yaml.Mark", event.start_mark)
        end_mark = cast("yaml.Mark", event.end_mark)
        start, end = self._index(start_mark), self._index(end_mark)
        return Span(start, end, self.source)

    def _index(self, mark: yaml.Mark) -> int:
        """Return the index of a mark in the source, limited to the parsed span."""
        index = mark.index + self.shift
        return min(max(self.span.start, index), self.span.end)

    def _syntax_problem(self, error: yaml.MarkedYAMLError) -> Problem:
        fault = error.problem or "it cannot be read"
        mark = error.problem_mark or error.context_mark
        if fault in _FAULTS_SHOWN_AT_THEIR_BEGINNING:
            mark = error.context_mark or mark
        index = self._index(mark) if mark else 0
        span = Span(index, index + 1, self.source)
        if fault == _TOO_DEEP:
            return span.problem(f"nested deeper than {DEEPEST} levels", None)
        hint = _SYNTAX_HINTS.get(fault)
        if fault == "found character that cannot start any token":
            hint = _TAB if span.text == "\t" else _QUOTE
        context = ""
        if error.context:
            context = f" {error.context}"
        return span.problem(f"not valid YAML: {fault}{context}", hint)


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
_TOO_LARGE = "the number is too large to be recorded"
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def core_value(text: str) -> Any:
    """Return the value of an unquoted scalar.

    Raises ValueError for a number that a record cannot hold, since records are JSON.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(
            f"'{text}' cannot be recorded: records are JSON, which has no infinity and no NaN"
        )
    for pattern, convert in _NUMBERS:
        if not pattern.fullmatch(text):
            continue
        if len(text) > LONGEST_NUMBER:
            raise ValueError(_TOO_LARGE)
        number = convert(text)
        # math.isfinite() would refuse an int that is too large for a float.
        if abs(number) == math.inf:
            raise ValueError(_TOO_LARGE)
        return number
    return text


# libyaml has a limit of its own since PyYAML 6.0.4, and reaches it before DEEPEST.
_TOO_DEEP = "exceeded maximum nesting depth"
# libyaml notices these faults at the end of the line or the file. The useful position is the
# beginning of the construct, which is the position of the context.
_FAULTS_SHOWN_AT_THEIR_BEGINNING = (
    "could not find expected ':'",
    "found unexpected end of stream",
)
_TAB = "YAML does not indent with tabs"
_QUOTE = "quote the value"
_SYNTAX_HINTS = {
    "mapping values are not allowed in this context": (
        "quote a value that holds ': ', or fix the indentation"
    ),
    "did not find expected key": (
        "fix the indentation; quote a value that goes on after a }, a ] or a closing quote"
    ),
    "could not find expected ':'": "a key is followed by ': '",
    "found unexpected end of stream": "the closing quote is missing",
    "did not find expected ',' or ']'": "the closing ] is missing",
    "did not find expected ',' or '}'": "the closing } is missing",
    "did not find expected '-' indicator": "fix the indentation",
    "found unknown escape character": "write the text in 'single quotes', where \\ is itself",
}
