r"""`{name}` in a command or an output directory's name, which a parameter replaces.

A placeholder is an identifier in braces, dotted to reach into mappings, and not preceded by `$`.
All other braces are left alone (`awk '{ print $1 }'`, `${HOME}`). In a string, which is read by
`sh -c`, the value is quoted for the shell. In an argv it is not quoted. A comment contains no
placeholders, and `\{name}` is not one.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, overload

from gitorch.model.values import MISSING, value_at

# A command that no shell reads.
Words = tuple[str, ...] | list[str]


class Placeholder(NamedTuple):
    """`{name}` at `start:end` of the command, or of its word number `item` if it is a list.

    `quoted` says that the shell would take our quoting literally: the placeholder is inside quotes
    or in a here-document.
    """

    name: str
    start: int
    end: int
    quoted: bool = False
    item: int | None = None


_NAME = r"[^\W\d]\w*"
_HOLE = rf"(?<!\$)\{{(?P<name>{_NAME}(?:\.{_NAME})*)\}}"
_PLACEHOLDER = re.compile(_HOLE)
# The parts of the shell's grammar that decide if a position is inside quotes: POSIX XCU 2.2, 2.6.3
# and 2.7.4.
_UNQUOTED = re.compile(
    rf"""
      (?P<escape>   \\. )
    | (?P<single>   '[^']*'? )
    | (?P<double>   " )
    | (?P<open>     \$?\( )
    | (?P<close>    \) )
    | (?P<backtick> ` )
    | (?P<comment>  (?<![^\s;&|()`])\#[^\n]* )
    | (?P<document> (?<!<)<<(?!<)-?[ \t]*\\?(?P<mark>['"]?)(?P<delimiter>[\w.-]+)(?P=mark) )
    | (?P<newline>  \n )
    | (?P<hole>     {_HOLE} )
    """,
    re.VERBOSE | re.DOTALL,
)
_DOUBLE_QUOTED = re.compile(
    rf"""
      (?P<escape>   \\. )
    | (?P<double>   " )
    | (?P<open>     \$\( )
    | (?P<backtick> ` )
    | (?P<hole>     {_HOLE} )
    """,
    re.VERBOSE | re.DOTALL,
)


def placeholders(command: str | Words) -> list[Placeholder]:
    """Return all placeholders of a command, in order."""
    if isinstance(command, str):
        return list(_ShellText(command).placeholders())
    found = []
    for item, word in enumerate(command):
        found += [
            placeholder._replace(item=item) for placeholder in placeholders_of(word)
        ]
    return found


def placeholders_of(text: str) -> Iterator[Placeholder]:
    """Yield the placeholders of a text that no shell reads."""
    return (
        Placeholder(match["name"], *match.span())
        for match in _PLACEHOLDER.finditer(text)
    )


def is_known(name: str, values: Mapping[str, Any]) -> bool:
    """Return True if there is a value of this dotted name."""
    return value_at(values, name.split("."), MISSING) is not MISSING


def value_of(name: str, values: Mapping[str, Any]) -> Any:
    """Return the value of a dotted name. Raises KeyError if there is none."""
    value = value_at(values, name.split("."), MISSING)
    if value is MISSING:
        raise KeyError(name)
    return value


@overload
def fill(command: str, values: Mapping[str, Any]) -> str: ...
@overload
def fill(command: Words, values: Mapping[str, Any]) -> tuple[str, ...]: ...
def fill(command: str | Words, values: Mapping[str, Any]) -> str | tuple[str, ...]:
    """Return the command to run.

    In a string the values are quoted for the shell, in an argv they are not. Raises KeyError if a
    name is unknown.
    """
    if not isinstance(command, str):
        return tuple(fill_text(word, values) for word in command)

    def quoted(name: str) -> str:
        return shlex.quote(_rendered(name, values))

    return _replaced(command, _ShellText(command).placeholders(), quoted)


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """Return a text that no shell reads, filled in without quoting. Raises KeyError."""

    def unquoted(name: str) -> str:
        return _rendered(name, values)

    return _replaced(text, placeholders_of(text), unquoted)


def _replaced(
    text: str, holes: Iterator[Placeholder], render: Callable[[str], str]
) -> str:
    pieces = []
    end = 0
    for hole in holes:
        pieces += [text[end : hole.start], render(hole.name)]
        end = hole.end
    pieces.append(text[end:])
    return "".join(pieces)


def _rendered(name: str, values: Mapping[str, Any]) -> str:
    value = value_of(name, values)
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )


class _ShellText:
    """A text that a shell reads, followed from quote to quote to find its placeholders."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        # What closes the open quotes and substitutions, the innermost last.
        self._closers: list[str] = []
        # The delimiters of the here-documents that begin at the next line.
        self._documents: list[str] = []

    def placeholders(self) -> Iterator[Placeholder]:
        while True:
            in_quotes = self._closers[-1:] == ['"']
            grammar = _DOUBLE_QUOTED if in_quotes else _UNQUOTED
            token = grammar.search(self._text, self._position)
            if token is None:
                return
            self._position = token.end()
            match token.lastgroup:
                case "hole":
                    yield Placeholder(
                        token["name"], *token.span(), quoted=in_quotes
                    )
                case "single":
                    yield from self._quoted(*token.span())
                case "document":
                    self._documents.append(token["delimiter"])
                case "newline":
                    yield from self._in_documents()
                case _:
                    self._open_or_close(token)

    def _open_or_close(self, token: re.Match[str]) -> None:
        match token.lastgroup:
            case "double":
                self._toggle('"')
            case "backtick":
                self._toggle("`")
            case "open":
                self._closers.append(")")
            case "close" if self._closers[-1:] == [")"]:
                self._closers.pop()

    def _toggle(self, quote: str) -> None:
        """Close `quote` and all that is open within it, or open it if it is not open.

        Only quotes in the innermost substitution are closed.
        """
        start = 0
        if ")" in self._closers:
            start = len(self._closers) - self._closers[::-1].index(")")
        if quote in self._closers[start:]:
            del self._closers[self._closers.index(quote, start) :]
        else:
            self._closers.append(quote)

    def _in_documents(self) -> Iterator[Placeholder]:
        """Yield the placeholders in the here-documents that begin here, and continue after them."""
        for delimiter in self._documents:
            last_line = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE)
            match = last_line.search(self._text, self._position)
            start = self._position
            self._position = match.end() if match else len(self._text)
            yield from self._quoted(start, self._position)
        self._documents.clear()

    def _quoted(self, start: int, end: int) -> Iterator[Placeholder]:
        for match in _PLACEHOLDER.finditer(self._text, start, end):
            yield Placeholder(match["name"], *match.span(), quoted=True)
