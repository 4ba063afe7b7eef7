"""`{name}` in a command or an output directory's name, replaced by a parameter.

A placeholder is an identifier in braces, dotted to reach into mappings, and not preceded by `$`; all other braces are
left alone (`awk '{ print $1 }'`, `${HOME}`). In a string, which goes to `sh -c`, the value is quoted for the shell; in
an argv it is put in as it is. Comments and `\\{name}` hold none.
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
    """`{name}` at `start:end` of the command, or of its `item`th word where it is a list.

    `quoted`: it stands where the shell takes our quoting literally: inside quotes, or in a here-document.
    """

    name: str
    start: int
    end: int
    quoted: bool = False
    item: int | None = None


_NAME = r"[^\W\d]\w*"
_HOLE = rf"(?<!\$)\{{(?P<name>{_NAME}(?:\.{_NAME})*)\}}"
_PLACEHOLDER = re.compile(_HOLE)
# The parts of the shell's grammar that decide whether a place is inside quotes: POSIX XCU 2.2, 2.6.3 and 2.7.4.
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
    """All of a command's placeholders, in their order."""
    if isinstance(command, str):
        return list(_in_shell(command))
    return [
        found._replace(item=item)
        for item, word in enumerate(command)
        for found in placeholders_of(word)
    ]


def placeholders_of(text: str) -> Iterator[Placeholder]:
    """Those of a text that no shell reads."""
    return (Placeholder(match["name"], *match.span()) for match in _PLACEHOLDER.finditer(text))


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
    """The command to run: a string's values are quoted for the shell, an argv's are not. KeyError: an unknown name."""
    if isinstance(command, str):
        return _replaced(
            command, _in_shell(command), lambda name: shlex.quote(_rendered(name, values))
        )
    return tuple(fill_text(word, values) for word in command)


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """A text that no shell reads, filled in without quoting. KeyError: an unknown name."""
    return _replaced(text, placeholders_of(text), lambda name: _rendered(name, values))


def _replaced(text: str, found: Iterator[Placeholder], render: Callable[[str], str]) -> str:
    pieces, at = [], 0
    for hole in found:
        pieces += [text[at : hole.start], render(hole.name)]
        at = hole.end
    return "".join([*pieces, text[at:]])


def _rendered(name: str, values: Mapping[str, Any]) -> str:
    value = value_of(name, values)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _in_shell(text: str) -> Iterator[Placeholder]:
    closers: list[str] = []  # what ends the quotes and substitutions that are open, innermost last
    documents: list[str] = []  # the delimiters of here-documents that begin at the next line
    at = 0
    while True:
        in_quotes = closers[-1:] == ['"']
        token = (_DOUBLE_QUOTED if in_quotes else _UNQUOTED).search(text, at)
        if token is None:
            return
        at = token.end()
        match token.lastgroup:
            case "hole":
                yield Placeholder(token["name"], *token.span(), quoted=in_quotes)
            case "single":
                yield from _quoted(text, *token.span())
            case "double":
                _toggle(closers, '"')
            case "backtick":
                _toggle(closers, "`")
            case "open":
                closers.append(")")
            case "close" if closers[-1:] == [")"]:
                closers.pop()
            case "document":
                documents.append(token["delimiter"])
            case "newline":
                for delimiter in documents:
                    end = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE).search(text, at)
                    start, at = at, end.end() if end else len(text)
                    yield from _quoted(text, start, at)
                documents.clear()


def _quoted(text: str, start: int, end: int) -> Iterator[Placeholder]:
    for match in _PLACEHOLDER.finditer(text, start, end):
        yield Placeholder(match["name"], *match.span(), quoted=True)


def _toggle(closers: list[str], quote: str) -> None:
    """Close `quote`, and whatever is still open in it, if it is open in this substitution; else open it."""
    since = len(closers) - closers[::-1].index(")") if ")" in closers else 0
    if quote in closers[since:]:
        del closers[since + closers[since:].index(quote) :]
    else:
        closers.append(quote)
