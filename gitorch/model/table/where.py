"""`--where`: which runs, by an expression of its own small language.

    expression  = all { "or" all }
    all         = condition { "and" condition }
    condition   = "not" condition | "(" expression ")" | operand [ comparison ]
    comparison  = ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
                | [ "not" ] "in" operand | [ "not" ] ( "~" | "like" ) operand
    operand     = number | text | "true" | "false" | "null" | "[" [ operand { "," operand } ] "]" | name
    name        = a run's field | "params" key { key } | "metrics" key
    key         = "." word | "[" text "]"

Values are compared where they are of one kind (numbers, texts, truths, lists, mappings); values of two kinds are
unequal, and neither is less. What a run does not have is null, and a comparison with it is false, but for `== null` and
`in [null]`. `like` takes a glob, and is of texts. An operand alone is true where its value is `true`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any, NamedTuple

from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.table.fields import (
    KINDS,
    OWN,
    Getter,
    Path,
    getter,
    is_field,
    known_fields,
    meant,
    render_path,
)
from gitorch.model.table.row import Row

Predicate = Callable[[Row], bool]

_TOKENS = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<word>[^\W\d][\w-]*(?:\.[\w-]+)*)
      | (?P<more>(?:\.[^\W\d][\w-]*)+)
      | (?P<sign>==|!=|<=|>=|[<>~()\[\],])
      | (?P<end>\Z)
      | (?P<odd>&&|\|\||[^\s])
    )""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "like"})
_CONSTANTS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
# What a person can read; each takes a few frames of the interpreter's stack.
_DEEPEST = 50
_LONGEST = 1000  # digits of a whole number
_SHOWN = 60  # characters of a long expression, on either side of the place


class Where(NamedTuple):
    """A parsed expression. `names` are the fields it asks for."""

    text: str
    matches: Predicate
    names: tuple[Path, ...]

    def unheard_of(self, rows: Iterable[Row]) -> list[str]:
        """Those of its names that none of these runs has, in words, with what may be meant."""
        known = known_fields(rows)
        said = []
        for path in dict.fromkeys(self.names):
            if (
                path[0] in KINDS
                and path not in known
                and (path[0], ".".join(path[1:])) not in known
            ):
                instead = " or ".join(map(render_path, meant(path[-1], known)))
                said.append(
                    f"no run has {render_path(path)}"
                    + (f"; did you mean {instead}?" if instead else "")
                )
        return said


def parse_where(text: str, rows: Iterable[Row] = ()) -> Where:
    """Raises UsageError, which shows the place; `rows` are for saying what may be meant by a name that there is not."""
    return _Parser(text, rows).parsed()


class _Token(NamedTuple):
    kind: str  # number, text, word, more, sign, keyword, end
    text: str
    start: int


class _Operand(NamedTuple):
    """What gives a value, and the token it begins with; `path` of a name, `value` of anything else."""

    get: Getter
    token: _Token
    path: Path | None = None
    value: Any = None

    @property
    def is_null(self) -> bool:
        return self.token.text in ("null", "None")


class _Parser:
    def __init__(self, text: str, rows: Iterable[Row]) -> None:
        self._text = text
        self._rows = rows
        self._tokens = self._read()
        self._at = 0
        self._depth = 0
        self._names: list[Path] = []

    def parsed(self) -> Where:
        if self._next.kind == "end":
            raise self._wrong(
                self._next,
                "an expression is missing",
                "for example: --where \"status == 'COMPLETE'\"",
            )
        matches = self._expression()
        if self._next.kind != "end":
            raise self._wrong(self._next, self._unexpected(self._next), self._hint(self._next))
        return Where(self._text, matches, tuple(self._names))

    # Rules of the grammar

    def _expression(self) -> Predicate:
        parts = [self._all()]
        while self._taken("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self) -> Predicate:
        parts = [self._condition()]
        while self._taken("and"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _condition(self) -> Predicate:
        negated = False
        while self._taken("not"):
            negated = not negated
        if opening := self._taken("("):
            self._descend(opening)
            found = self._expression()
            self._depth -= 1
            if not self._taken(")"):
                raise self._wrong(opening, "this parenthesis is not closed")
        else:
            found = self._comparison()
        return _negation(found) if negated else found

    def _comparison(self) -> Predicate:
        left = self._operand()
        sign = self._next
        if sign.text in ("==", "!=", *_ORDERS) and self._taken(sign.text):
            right = self._operand()
            self._check_status(left, right)
            self._check_status(right, left)
            if self._next.text in ("==", "!=", *_ORDERS):
                raise self._wrong(self._next, "comparisons cannot be chained", "a < b and b < c")
            return _compared(sign.text, left, right)
        negated = bool(self._taken("not"))
        if self._taken("in"):
            right = self._operand()
            self._check_status(left, right)
            found = _contained(left.get, right.get)
        elif self._taken("~") or self._taken("like"):
            right = self._operand()
            if not isinstance(right.value, str):
                raise self._wrong(
                    right.token, "here a glob in quotes is needed", "name like 'penguins*'"
                )
            found = _like(left.get, right.value)
        elif negated:
            raise self._wrong(self._next, "after `not` there is `in` or `like` here")
        else:
            return lambda row: left.get(row) is True
        return _negation(found, left.get) if negated else found

    def _operand(self) -> _Operand:
        token = self._next
        self._at += 1
        match token.kind:
            case "number":
                return _constant(token, _number(token.text))
            case "text":
                return _constant(token, self._unquoted(token))
            case "word" if token.text in _CONSTANTS:
                return _constant(token, _CONSTANTS[token.text])
            case "word":
                path = self._path(token)
                self._names.append(path)
                return _Operand(getter(path), token, path=path)
            case "sign" if token.text == "[":
                return self._list(token)
        self._at -= 1
        raise self._wrong(token, self._unexpected(token), self._hint(token))

    def _list(self, opening: _Token) -> _Operand:
        self._descend(opening)
        items: list[_Operand] = []
        while not self._taken("]"):
            if items and not self._taken(","):
                raise self._wrong(self._next, "a list goes on with a comma or ends with a bracket")
            items.append(self._operand())
        self._depth -= 1
        if all(item.path is None for item in items):
            return _constant(opening, [item.value for item in items])
        return _Operand(lambda row: [item.get(row) for item in items], opening)

    def _path(self, token: _Token) -> Path:
        keys = token.text.split(".")
        while True:
            if self._next.kind == "more":
                keys += self._next.text.split(".")[1:]
                self._at += 1
            elif opening := self._taken("["):
                quoted = self._next
                if quoted.kind != "text":
                    raise self._wrong(quoted, "a key in brackets is in quotes", 'params["odd key"]')
                self._at += 1
                keys.append(self._unquoted(quoted))
                if not self._taken("]"):
                    raise self._wrong(opening, "this bracket is not closed")
            else:
                break
        path = tuple(keys)
        if not is_field(path):
            raise self._wrong(token, f"there is no name {token.text!r}", self._did_you_mean(path))
        return path

    # Tokens

    def _read(self) -> list[_Token]:
        tokens = []
        for found in _TOKENS.finditer(self._text):
            kind, text = found.lastgroup or "", found[found.lastgroup or 0]
            token = _Token(
                "keyword" if text.lower() in _KEYWORDS else kind, text, found.start(kind)
            )
            if kind == "odd":
                message = (
                    "this text is not closed" if text in "'\"" else f"{text!r} means nothing here"
                )
                raise self._wrong(
                    token, message, f"did you mean {_INSTEAD[text]}?" if text in _INSTEAD else None
                )
            tokens.append(token)
            if kind == "end":
                break
        return tokens

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _taken(self, text: str) -> _Token | None:
        """The next token, taken, if it is this keyword or sign."""
        token = self._next
        if token.kind not in ("keyword", "sign") or token.text.lower() != text:
            return None
        self._at += 1
        return token

    def _descend(self, token: _Token) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(token, f"this is nested more than {_DEEPEST} deep")

    def _unquoted(self, token: _Token) -> str:
        def escaped(found: re.Match[str]) -> str:
            if found[1] in _ESCAPED:
                return _ESCAPED[found[1]]
            if len(found[1]) == 5:
                return chr(int(found[1][1:], 16))
            place = _Token("text", found[0], token.start + 1 + found.start())
            raise self._wrong(
                place, f"{found[0]} is no escape", r"there are \\ \' \" \n \t \r and \u00e9"
            )

        return _ESCAPE.sub(escaped, token.text[1:-1])

    # Complaints

    def _check_status(self, left: _Operand, right: _Operand) -> None:
        """A status that there is not would never be met."""
        asked = right.value if isinstance(right.value, list) else [right.value]
        if left.path == ("status",):
            for value in asked:
                if isinstance(value, str) and value not in Status.__members__:
                    raise self._wrong(
                        right.token, f"{value!r} is no status", f"there are: {', '.join(Status)}"
                    )

    def _unexpected(self, token: _Token) -> str:
        return (
            "the expression breaks off"
            if token.kind == "end"
            else f"{token.text!r} is not expected here"
        )

    def _hint(self, token: _Token) -> str | None:
        return (
            "values that are text are in quotes: name == 'penguins'"
            if token.kind in ("word", "more")
            else None
        )

    def _did_you_mean(self, path: Path) -> str:
        if len(path) == 1 and path[0].upper() in Status.__members__:
            return f"text is in quotes: '{path[0].upper()}'"
        if path[0] in KINDS:
            return f"{path[0]}.NAME, the name of one of the {path[0]}"
        found = meant(".".join(path), known_fields(self._rows))
        if found:
            return f"did you mean {' or '.join(map(render_path, found))}?"
        return f"there are: {', '.join(OWN)}, params.NAME, metrics.NAME; text is in quotes"

    def _wrong(self, token: _Token, message: str, hint: str | None = None) -> UsageError:
        start = max(token.start - _SHOWN, 0)
        end = min(token.start + max(len(token.text), 1) + _SHOWN, len(self._text))
        before, after = "…" if start else "", "…" if end < len(self._text) else ""
        line = re.sub(r"\s", " ", self._text[start:end])
        carets = "^" * max(min(len(token.text), _SHOWN), 1)
        pointer = " " * (len(before) + token.start - start) + carets
        return UsageError(f"--where: {message}\n  {before}{line}{after}\n  {pointer}", hint)


def _constant(token: _Token, value: Any) -> _Operand:
    return _Operand(lambda row: value, token, value=value)


def _negation(found: Predicate, needed: Getter | None = None) -> Predicate:
    """The contrary; where `needed` is null it is not true either."""
    if needed is None:
        return lambda row: not found(row)
    return lambda row: needed(row) is not None and not found(row)


def _number(text: str) -> float:
    return float(text) if set(text) & set(".eE") or len(text) > _LONGEST else int(text)


def _compared(sign: str, left: _Operand, right: _Operand) -> Predicate:
    one, other = left.get, right.get
    if order := _ORDERS.get(sign):
        return lambda row: _ordered(order, one(row), other(row))
    if sign == "==":
        return lambda row: _equal(one(row), other(row))
    if left.is_null or right.is_null:
        return lambda row: not _equal(one(row), other(row))
    return lambda row: _unequal(one(row), other(row))


def _contained(left: Getter, right: Getter) -> Predicate:
    def found(row: Row) -> bool:
        value, among = left(row), right(row)
        return isinstance(among, list) and any(_equal(value, item) for item in among)

    return found


def _like(left: Getter, glob: str) -> Predicate:
    matcher = re.compile(translate(glob))

    def found(row: Row) -> bool:
        value = left(row)
        return isinstance(value, str) and matcher.match(value) is not None

    return found


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case Mapping():
            return "mapping"
        case _:
            return "null"


def _equal(one: Any, other: Any) -> bool:
    kind = _kind(one)
    if kind != _kind(other):
        return False
    if kind == "list":
        return len(one) == len(other) and all(map(_equal, one, other))
    if kind == "mapping":
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return bool(one == other)


def _unequal(one: Any, other: Any) -> bool:
    return one is not None and other is not None and not _equal(one, other)


def _ordered(order: Callable[[Any, Any], bool], one: Any, other: Any) -> bool:
    kind = _kind(one)
    return kind == _kind(other) and kind in ("number", "text") and order(one, other)
