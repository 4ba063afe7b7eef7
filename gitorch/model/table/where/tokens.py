"""The tokens of an expression, and errors that show one of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from gitorch.errors import UsageError

_TOKENS = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<word>[^\W\d][\w/:@%-]*(?:\.[\w/:@%-]+)*)
      | (?P<more>(?:\.[^\W\d][\w/:@%-]*)+)
      | (?P<sign>==|!=|<=|>=|[<>~()\[\],])
      | (?P<end>\Z)
      | (?P<odd>&&|\|\||[^\s])
    )""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "like"})
# Operators of other languages, with the sign or keyword that has the same meaning here.
_INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_LONGEST_NUMBER = 1000  # digits of a whole number
_SHOWN = 60  # characters that an error shows on either side of a token


class Token(NamedTuple):
    """A part of the expression and where it starts.

    `kind` is number, text (in quotes), word (a name, a constant, or text without quotes), more
    (`.key` after a bracket), sign, keyword, or end.
    """

    kind: str
    text: str
    start: int

    def is_sign_or_keyword(self, text: str) -> bool:
        return self.kind in ("keyword", "sign") and self.text.lower() == text


def tokens_of(expression: str) -> list[Token]:
    """Return the tokens of an expression; the last one is its end. Raises UsageError."""
    tokens = []
    for match in _TOKENS.finditer(expression):
        kind = match.lastgroup or ""
        text = match[kind]
        start = match.start(kind)
        if text.lower() in _KEYWORDS:
            kind = "keyword"
        token = Token(kind, text, start)
        if kind == "odd":
            raise _not_a_token(expression, token)
        tokens.append(token)
        if kind == "end":
            break
    return tokens


def complaint(
    expression: str, token: Token, message: str, hint: str | None = None
) -> UsageError:
    """Return an error that shows the token, with the part of the expression around it."""
    start = max(token.start - _SHOWN, 0)
    end = min(token.start + max(len(token.text), 1) + _SHOWN, len(expression))
    before = "…" if start > 0 else ""
    after = "…" if end < len(expression) else ""
    line = re.sub(r"\s", " ", expression[start:end])
    indentation = len(before) + token.start - start
    caret_count = max(min(len(token.text), _SHOWN), 1)
    pointer = " " * indentation + "^" * caret_count
    return UsageError(
        f"--where: {message}\n  {before}{line}{after}\n  {pointer}", hint
    )


def number_of(token: Token) -> float:
    """Return the value of a number: an int if it is written as one."""
    text = token.text
    if set(text) & set(".eE") or len(text) > _LONGEST_NUMBER:
        return float(text)
    return int(text)


def text_of(expression: str, token: Token) -> str:
    """Return the value of a text in quotes. Raises UsageError if it has an unknown escape."""

    def unescaped(escape: re.Match[str]) -> str:
        code = escape[1]
        if code in _ESCAPED:
            return _ESCAPED[code]
        if len(code) == 5:
            return chr(int(code[1:], 16))
        raise complaint(
            expression,
            Token("text", escape[0], token.start + 1 + escape.start()),
            f"{escape[0]} is not an escape",
            r"the escapes are \\ \' \" \n \t \r and \u00e9",
        )

    return _ESCAPE.sub(unescaped, token.text[1:-1])


def _not_a_token(expression: str, token: Token) -> UsageError:
    if token.text in "'\"":
        return complaint(expression, token, "this text is not closed")
    hint = None
    if token.text in _INSTEAD:
        hint = f"did you mean {_INSTEAD[token.text]}?"
    return complaint(expression, token, f"{token.text!r} means nothing here", hint)
