"""The value of an option `-S key=value`: one value or several, exactly as they are seen.

YAML, and the comma that separates values, read some texts differently from what is seen: `&x` is
an empty value with an anchor, and `f(1,2)` is two values. Each such text is refused, with the line
to write instead. A text that another language reads as something else, such as `None`, is kept and
warned of.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from msgspec.structs import replace

from gitorch.config.document import Node, Span
from gitorch.config.yaml_parser import core_value, parse_items
from gitorch.model.problem import Problem, Severity, has_errors

_COMMENT = re.compile(r"(?:^|(?<=\s))#")
_LEADING_ZEROS = re.compile(r"[-+]?0[0-9]")
_WITH_UNDERSCORES = re.compile(r"[-+]?[0-9]+(_[0-9]+)+")
_BINARY = re.compile(r"[-+]?0[bB][01]+")
# Values as Python and other languages write them. YAML writes them differently or lacks them.
_FOREIGN = {
    "None": "null",
    **dict.fromkeys(
        ("nan", "NaN", "inf", "-inf", "Infinity", "-Infinity"), "a number"
    ),
}
_READ_BY_YAML = {
    yaml.AnchorToken: "begins with &, which names a value in YAML",
    yaml.AliasToken: "begins with *, which stands for another value in YAML",
}


class ParsedValue(NamedTuple):
    """The values that an option gives. There is none if one of the problems is an error."""

    items: list[Node]
    problems: list[Problem]


def parse_value(key: str, value: Span) -> ParsedValue:
    """Return the values that are written at a span, for the option that sets `key`."""
    reader = _Reader(key, value)
    problems: list[Problem] = []
    for problem in reader.unseen():
        problems.append(problem)
        if problem.severity is Severity.ERROR:
            return ParsedValue([], problems)
    items, faults = parse_items(value)
    for fault in faults:
        problems.append(replace(fault, hint=reader.as_text()))
    if not items and not problems:
        problems.append(value.problem("this is not a value", reader.as_text()))
    for item in items:
        problems += reader.surprises(item)
    if has_errors(problems):
        items = []
    return ParsedValue(items, problems)


class _Reader:
    """The tokens of a value, and what is unexpected about them."""

    def __init__(self, key: str, value: Span) -> None:
        self._key = key
        self._value = value
        self._tokens = _tokens(value.text)

    def as_text(self, value: Any = None) -> str:
        """Return a hint with the option that passes a text, by default the whole value."""
        text = self._value.text.strip() if value is None else value
        return f"to pass the text itself: {self._option(_quoted(text))}"

    def unseen(self) -> Iterator[Problem]:
        """Yield the problems of the parts that YAML does not take for text."""
        yield from self._comments()
        depth = 0
        before: Any = None
        for token in self._tokens:
            span = self._span(token)
            meaning = _READ_BY_YAML.get(type(token))
            if meaning:
                yield span.problem(f"'{span.text}' {meaning}", self.as_text())
            if isinstance(token, yaml.ScalarToken):
                yield from self._scalar(token, span)
            ends = isinstance(
                token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken
            )
            if ends and isinstance(before, yaml.FlowEntryToken) and depth == 1:
                comma = self._span(before)
                hint = f"{self._option(self._value.text.strip().rstrip(', '))} gives it once"
                yield comma.problem("no value follows the last comma", hint)
            depth += isinstance(
                token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken
            )
            depth -= ends
            before = token

    def surprises(self, node: Node) -> Iterator[Problem]:
        """Yield the problems of the values that a node holds."""
        text = node.span.text
        if isinstance(node.children, dict):
            if not text.startswith("{"):
                hint = f"{self._option('{' + text + '}')}; {self.as_text(text)}"
                yield node.span.problem(f"'{text}' is read as a mapping", hint)
            for name, (span, child) in node.children.items():
                if child.value is None and not child.span.text:
                    message = f"'{name}' is given no value"
                    yield span.problem(message, self.as_text())
                yield from self.surprises(child)
        elif isinstance(node.children, list):
            for child in node.children:
                yield from self.surprises(child)

    def _comments(self) -> Iterator[Problem]:
        quoted = []
        for token in self._tokens:
            if isinstance(token, yaml.ScalarToken) and not token.plain:
                quoted.append(self._span(token))
        for match in _COMMENT.finditer(self._value.text):
            position = self._value.start + match.start()
            if not any(span.start <= position < span.end for span in quoted):
                span = Span(position, self._value.end, self._value.source)
                message = f"'{span.text}' is a comment in YAML"
                yield span.problem(message, self.as_text())

    def _scalar(self, token: Any, span: Span) -> Iterator[Problem]:
        text = token.value
        hint: str | None = None
        if not token.plain:
            if not text.isprintable():
                message = (
                    f"{span.text} holds {text!r}: a backslash begins an escape"
                )
                hint = "single quotes keep a backslash as it is"
                yield span.problem(message, hint, severity=Severity.WARNING)
            return
        has_comma = "," in self._value.text
        is_part = text.count("(") != text.count(")") or text.endswith("\\")
        if has_comma and text.startswith("range("):
            message = f"'{self._value.text}' is not a range"
            yield self._value.problem(
                message, "write it like range(1,6), by itself"
            )
        elif has_comma and is_part:
            message = f"the comma separates values, and '{text}' is one of them"
            yield span.problem(message, self.as_text())
        elif text in _FOREIGN:
            kind = _FOREIGN[text]
            if kind == "null":
                hint = f"{self._option(kind)} passes null"
            message = f"'{text}' is passed as a text, not as {kind}"
            yield span.problem(message, hint, severity=Severity.WARNING)
        elif text == "~":
            message = "'~' is read as null"
            yield span.problem(
                message, self.as_text(text), severity=Severity.WARNING
            )
        else:
            yield from self._number(text, span)

    def _number(self, text: str, span: Span) -> Iterator[Problem]:
        """Yield the problem of a text that looks like another number than it is."""
        try:
            number = core_value(text)
        except ValueError:
            # The parser complains.
            return
        if isinstance(number, str):
            if _WITH_UNDERSCORES.fullmatch(text) or _BINARY.fullmatch(text):
                option = self._option(
                    str(int(text, 0 if "b" in text.lower() else 10))
                )
                message = f"'{text}' is passed as a text, not as a number"
                hint = f"{option} passes the number"
                yield span.problem(message, hint, severity=Severity.WARNING)
            return
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        vanishes = number == 0 and re.search(r"[1-9]", re.split("[eExo]", text)[0])
        if is_number and (_LEADING_ZEROS.match(text) or vanishes):
            hint = f"{self._option(repr(number))}, or {self.as_text(text)}"
            yield span.problem(f"'{text}' would be read as {number!r}", hint)

    def _option(self, value: str) -> str:
        return f"-S {shlex.quote(f'{self._key}={value}')}"

    def _span(self, token: Any) -> Span:
        # The tokens are those of the value in brackets.
        start = self._value.start + token.start_mark.index - 1
        end = self._value.start + token.end_mark.index - 1
        start = min(max(start, self._value.start), self._value.end)
        return Span(
            start, min(max(end, start), self._value.end), self._value.source
        )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _tokens(text: str) -> list[Any]:
    """Return the tokens of the text in brackets, up to the first that is not valid."""
    tokens = []
    try:
        for token in yaml.scan(f"[{text}]", Loader=yaml.CSafeLoader):
            tokens.append(token)
    except yaml.YAMLError:
        # The parser complains.
        pass
    return tokens
