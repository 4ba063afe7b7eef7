r"""Placeholders: `{name}` in a command or in an output directory's name stands for a parameter.

A placeholder is an identifier in braces that is not preceded by `$`. A dotted identifier names a
value in a mapping. All other braces stay unchanged (`awk '{ print $1 }'`, `${HOME}`). In a string,
which a shell reads, the value is quoted for the shell. In an argv the value is not quoted. A
comment contains no placeholders, and `\{name}` is not a placeholder. Inside quotes, a name without
a value stays as it is (`curl -w '%{http_code}'`). `{{name}}` stands for the text `{name}`; in the
records of earlier versions it is a placeholder in braces. `{flags}` and `{overrides}` can select
names: `{flags:model,train.lr}`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from gitorch.model.values import MISSING, value_at

# A command that no shell reads.
Words = tuple[str, ...] | list[str]


class Placeholder(NamedTuple):
    """`{name}` at `start:end` of a command.

    If the command is a list, the position is in its word with the index `item`. `quoted` is True if
    the placeholder is inside quotes or in a here-document, where the shell would take the quotes
    that `fill` adds literally.
    """

    name: str
    start: int
    end: int
    quoted: bool = False
    item: int | None = None
    # True for `{{name}}`, which stands for the text `{name}`.
    is_literal: bool = False
    # What is written behind the colon of `{flags:…}`. None: there is no colon.
    selection: str | None = None

    @property
    def text(self) -> str:
        """Return the placeholder as it is written."""
        selection = "" if self.selection is None else f":{self.selection}"
        return f"{{{self.name}{selection}}}"

    @property
    def selected(self) -> list[str]:
        """Return the names behind the colon."""
        names = [name.strip() for name in (self.selection or "").split(",")]
        return [name for name in names if name]


# Returns the words that a placeholder stands for, or None if it does not stand for words.
Expand = Callable[[Placeholder], Sequence[str] | None]

_NAME = r"[^\W\d]\w*"
_SELECTION = r"(?:flags|overrides):[^{}\n]*"
_INSIDE = rf"{_SELECTION}|{_NAME}(?:\.{_NAME})*"
_HOLE = rf"(?<!\$)\{{(?P<name>{_INSIDE})\}}"
_DOUBLED = rf"(?<![\$\{{])\{{\{{(?P<doubled>{_INSIDE})\}}\}}(?!\}})"
_PLACEHOLDER = rf"{_DOUBLED}|{_HOLE}"
# The parts of the shell's grammar that decide whether a position is inside quotes (POSIX XCU 2.2,
# 2.6.3 and 2.7.4).
# The patterns are compiled where they are used: many commands load this module and read no command.
_UNQUOTED = rf"""
      (?P<escape>   \\. )
    | (?P<single>   '[^']*'? )
    | (?P<double>   " )
    | (?P<open>     \$?\( )
    | (?P<close>    \) )
    | (?P<backtick> ` )
    | (?P<comment>  (?<![^\s;&|()`])\#[^\n]* )
    | (?P<document> (?<!<)<<(?!<)-?[ \t]*\\?(?P<mark>['"]?)(?P<delimiter>[\w.-]+)(?P=mark) )
    | (?P<newline>  \n )
    | (?P<hole>     {_DOUBLED}|{_HOLE} )
    """
_DOUBLE_QUOTED = rf"""
      (?P<escape>   \\. )
    | (?P<double>   " )
    | (?P<open>     \$\( )
    | (?P<backtick> ` )
    | (?P<hole>     {_DOUBLED}|{_HOLE} )
    """


def placeholders(
    command: str | Words, *, double_braces: bool = False
) -> list[Placeholder]:
    """Return all placeholders of a command, in order.

    With `double_braces`, `{{name}}` is not one of them.
    """
    found: list[Placeholder] = []
    if isinstance(command, str):
        if "{" in command:
            found += _ShellText(command).holes()
    else:
        for item, word in enumerate(command):
            for hole in _holes_of(word):
                found.append(hole._replace(item=item))
    return [
        hole
        for hole in map(_as_meant(double_braces=double_braces), found)
        if not hole.is_literal
    ]


def has_double_braces(command: str | Words) -> bool:
    """Return True if the command contains `{{name}}`."""
    words = [command] if isinstance(command, str) else command
    return any(hole.is_literal for word in words for hole in _holes_of(word))


@cache
def _grammar(in_quotes: bool) -> re.Pattern[str]:
    grammar = _DOUBLE_QUOTED if in_quotes else _UNQUOTED
    return re.compile(grammar, re.VERBOSE | re.DOTALL)


def placeholders_of(text: str) -> Iterator[Placeholder]:
    """Yield the placeholders of a text that no shell reads, and that has no selections."""
    for hole in map(_as_meant(double_braces=False), _holes_of(text)):
        if hole.selection is None:
            yield hole


def _holes_of(text: str) -> Iterator[Placeholder]:
    if "{" in text:
        for match in re.finditer(_PLACEHOLDER, text):
            yield _hole(match)


def _hole(match: re.Match[str], *, quoted: bool = False) -> Placeholder:
    doubled = match["doubled"]
    name, colon, selection = (doubled or match["name"]).partition(":")
    return Placeholder(
        name,
        *match.span(),
        quoted=quoted,
        is_literal=doubled is not None,
        selection=selection if colon else None,
    )


def _as_meant(*, double_braces: bool) -> Callable[[Placeholder], Placeholder]:
    """Return a function that makes a placeholder of `{{name}}` unless double braces are literal."""

    def as_meant(hole: Placeholder) -> Placeholder:
        if double_braces or not hole.is_literal:
            return hole
        return hole._replace(
            start=hole.start + 1, end=hole.end - 1, is_literal=False
        )

    return as_meant


def is_known(name: str, values: Mapping[str, Any]) -> bool:
    """Return True if a value with this dotted name exists."""
    return value_at(values, name.split("."), MISSING) is not MISSING


def value_of(name: str, values: Mapping[str, Any]) -> Any:
    """Return the value with this dotted name. Raises KeyError if it does not exist."""
    value = value_at(values, name.split("."), MISSING)
    if value is MISSING:
        raise KeyError(name)
    return value


def no_words(hole: Placeholder) -> None:
    """Return None: no placeholder stands for words. It is the default of `fill`."""


def fill(
    command: str | Words,
    values: Mapping[str, Any],
    *,
    double_braces: bool = False,
    expand: Expand = no_words,
) -> str | tuple[str, ...]:
    """Return the command with its placeholders filled in: a text, or the words of an argv.

    In a text, the values are quoted for the shell. In an argv, they are not quoted. `expand` gives
    the words of the placeholders that are not in `values`. With `double_braces`, `{{name}}` becomes
    `{name}`. Raises KeyError if a name outside of quotes is unknown.
    """
    as_meant = _as_meant(double_braces=double_braces)
    if not isinstance(command, str):
        words: list[str] = []
        for word in command:
            words += _filled_words(word, values, as_meant, expand)
        return tuple(words)

    if "{" not in command:
        return command

    def quoted(hole: Placeholder) -> str:
        if hole.quoted and not _is_value(hole, values):
            return command[hole.start : hole.end]
        return shlex.join(_words(hole, values, expand))

    return _replaced(command, map(as_meant, _ShellText(command).holes()), quoted)


def _filled_words(
    word: str,
    values: Mapping[str, Any],
    as_meant: Callable[[Placeholder], Placeholder],
    expand: Expand,
) -> Sequence[str]:
    """Return the words that one word of an argv becomes: one, unless it is `{flags}` alone."""
    holes = list(map(as_meant, _holes_of(word)))
    if len(holes) == 1 and holes[0].text == word and not holes[0].is_literal:
        return _words(holes[0], values, expand)

    def unquoted(hole: Placeholder) -> str:
        return " ".join(_words(hole, values, expand))

    return [_replaced(word, holes, unquoted)]


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """Return a text that no shell reads, filled in without quoting. Raises KeyError."""

    def unquoted(hole: Placeholder) -> str:
        return _rendered(hole.name, values)

    return _replaced(text, placeholders_of(text), unquoted)


def _is_value(hole: Placeholder, values: Mapping[str, Any]) -> bool:
    return hole.selection is None and is_known(hole.name, values)


def _words(
    hole: Placeholder, values: Mapping[str, Any], expand: Expand
) -> Sequence[str]:
    """Return the words that a placeholder stands for. Raises KeyError if it is unknown."""
    if _is_value(hole, values):
        return [_rendered(hole.name, values)]
    words = expand(hole)
    if words is not None:
        return words
    if hole.selection is None:
        raise KeyError(hole.name)
    return [hole.text]


def _replaced(
    text: str,
    holes: Iterable[Placeholder],
    render: Callable[[Placeholder], str],
) -> str:
    pieces = []
    end = 0
    for hole in holes:
        filled = hole.text if hole.is_literal else render(hole)
        pieces += [text[end : hole.start], filled]
        end = hole.end
    pieces.append(text[end:])
    return "".join(pieces)


def _rendered(name: str, values: Mapping[str, Any]) -> str:
    value = value_of(name, values)
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


class _ShellText:
    """A text that a shell reads. The scan for placeholders keeps track of quotes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        # The characters that close the open quotes and substitutions, the innermost last.
        self._closers: list[str] = []
        # The delimiters of the here-documents that begin on the next line.
        self._documents: list[str] = []

    def holes(self) -> Iterator[Placeholder]:
        """Yield the placeholders, and each `{{name}}`, in order.

        Call this once: the scan uses up its own state.
        """
        while True:
            in_quotes = self._closers[-1:] == ['"']
            token = _grammar(in_quotes).search(self._text, self._position)
            if token is None:
                return
            self._position = token.end()
            match token.lastgroup:
                case "hole":
                    yield _hole(token, quoted=in_quotes)
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
        """Open `quote`, or close it and all that was opened inside it if it is open already.

        Only a quote in the innermost substitution can be closed.
        """
        substitution = 0
        if ")" in self._closers:
            after_last = self._closers[::-1].index(")")
            substitution = len(self._closers) - after_last
        if quote in self._closers[substitution:]:
            opened_at = self._closers.index(quote, substitution)
            del self._closers[opened_at:]
        else:
            self._closers.append(quote)

    def _in_documents(self) -> Iterator[Placeholder]:
        """Yield the placeholders in the here-documents that begin here, and skip the documents."""
        for delimiter in self._documents:
            last_line = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE)
            match = last_line.search(self._text, self._position)
            start = self._position
            self._position = match.end() if match else len(self._text)
            yield from self._quoted(start, self._position)
        self._documents.clear()

    def _quoted(self, start: int, end: int) -> Iterator[Placeholder]:
        for match in re.compile(_PLACEHOLDER).finditer(self._text, start, end):
            yield _hole(match, quoted=True)
