"""The grammar of an expression: from its tokens to a tree of frozen nodes.

    expression  = all { "or" all }
    all         = condition { "and" condition }
    condition   = "not" condition | "(" expression ")" | operand [ comparison ]
    comparison  = ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
                | [ "not" ] "in" operand | [ "not" ] ( "~" | "like" ) operand
    operand     = number | text | "true" | "false" | "null" | list | name | word
    list        = "[" [ operand { "," operand } ] "]"
    name        = a field of a run | [ "params" ] key { key } | [ "metrics" ] key
    key         = "." word | "[" text "]"

Each rule is a method of the parser, which returns the rule's node. A name may be short, as in
`--sort`. A word that is not a name is a text if it is compared with a field: `status == COMPLETE`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from msgspec import Struct

from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.table.fields import (
    KINDS,
    OWN,
    Path,
    did_you_mean,
    getter,
    is_field,
    known_fields,
    meant,
    named,
    own_field,
    render_path,
)
from gitorch.model.table.row import Row
from gitorch.model.table.where.tokens import (
    Token,
    complaint,
    number_of,
    text_of,
    tokens_of,
)

ORDERING_SIGNS = ("<", "<=", ">", ">=")
_RELATION_SIGNS = ("==", "!=", *ORDERING_SIGNS)
_CONSTANTS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}
# Nobody can read deeper levels, and each level takes a few frames of the interpreter's stack.
_DEEPEST = 50


class Constant(Struct, frozen=True):
    """A value that is written in the expression."""

    value: Any


class Field(Struct, frozen=True):
    """The value that a run has at `path`."""

    path: Path


class Items(Struct, frozen=True):
    """A list with at least one item that is not constant."""

    items: tuple[Operand, ...]


Operand = Constant | Field | Items


class Relation(Struct, frozen=True):
    """`left sign right`, with a sign such as `==` or `<`."""

    sign: str
    left: Operand
    right: Operand


class Membership(Struct, frozen=True):
    """`left in right`, or `left not in right`."""

    left: Operand
    right: Operand
    is_negated: bool


class Likeness(Struct, frozen=True):
    """`left like glob`, or `left not like glob`."""

    left: Operand
    glob: str
    is_negated: bool


class Truth(Struct, frozen=True):
    """An operand alone: true if its value is `true`."""

    operand: Operand


class Negation(Struct, frozen=True):
    """`not condition`."""

    condition: Condition


class AllOf(Struct, frozen=True):
    """Conditions joined by `and`."""

    conditions: tuple[Condition, ...]


class AnyOf(Struct, frozen=True):
    """Conditions joined by `or`."""

    conditions: tuple[Condition, ...]


Condition = Relation | Membership | Likeness | Truth | Negation | AllOf | AnyOf


class Parsed(NamedTuple):
    """The tree of an expression, and the fields that the expression names."""

    condition: Condition
    fields: tuple[Path, ...]


def parse(expression: str, rows: Sequence[Row]) -> Parsed:
    """Parse an expression. Raises UsageError, which shows the token that is wrong.

    `rows` are read only for names without `params.` or `metrics.`.
    """
    return _Parser(expression, rows).parsed()


class _Placed(NamedTuple):
    """An operand and its first token, which error messages show."""

    operand: Operand
    token: Token


class _Parser:
    """A recursive descent over the tokens of one expression."""

    def __init__(self, expression: str, rows: Sequence[Row]) -> None:
        self._expression_text = expression
        self._rows = rows
        self._tokens = tokens_of(expression)
        self._position = 0  # of the next token
        self._depth = 0
        self._fields: list[Path] = []

    def parsed(self) -> Parsed:
        if self._next.kind == "end":
            raise self._wrong(
                self._next,
                "an expression is missing",
                "for example: --where \"status == 'COMPLETE'\"",
            )
        condition = self._expression()
        if self._next.kind != "end":
            raise self._unexpected(self._next)
        return Parsed(condition, tuple(self._fields))

    # -- the rules of the grammar

    def _expression(self) -> Condition:
        return self._joined("or", AnyOf, self._all)

    def _all(self) -> Condition:
        return self._joined("and", AllOf, self._condition)

    def _joined(
        self,
        keyword: str,
        node: Callable[[tuple[Condition, ...]], Condition],
        rule: Callable[[], Condition],
    ) -> Condition:
        conditions = [rule()]
        while self._taken(keyword):
            conditions.append(rule())
        if len(conditions) == 1:
            return conditions[0]
        return node(tuple(conditions))

    def _condition(self) -> Condition:
        is_negated = False
        while self._taken(
            "not"
        ):  # a loop, so that many of them do not exhaust the stack
            is_negated = not is_negated
        opening = self._taken("(")
        condition = self._in_parentheses(opening) if opening else self._comparison()
        return Negation(condition) if is_negated else condition

    def _in_parentheses(self, opening: Token) -> Condition:
        self._descend(opening)
        condition = self._expression()
        self._depth -= 1
        if not self._taken(")"):
            raise self._wrong(opening, "this parenthesis is not closed")
        return condition

    def _comparison(self) -> Condition:
        left = self._operand()
        sign = self._next.text
        if sign in _RELATION_SIGNS and self._taken(sign):
            return self._relation(left, sign)
        is_negated = self._taken("not") is not None
        if self._taken("in"):
            beside = left.operand if self._next.text == "[" else None
            right = self._operand(beside)
            self._check_status(left, right)
            return Membership(left.operand, right.operand, is_negated)
        if self._taken("~") or self._taken("like"):
            return Likeness(left.operand, self._glob(), is_negated)
        if is_negated:
            raise self._wrong(
                self._next, "after `not`, either `in` or `like` is needed here"
            )
        return Truth(left.operand)

    def _relation(self, left: _Placed, sign: str) -> Relation:
        right = self._operand(None if sign in ORDERING_SIGNS else left.operand)
        self._check_status(left, right)
        self._check_status(right, left)
        if self._next.text in _RELATION_SIGNS:
            raise self._wrong(
                self._next, "comparisons cannot be chained", "a < b and b < c"
            )
        return Relation(sign, left.operand, right.operand)

    def _glob(self) -> str:
        match self._operand():
            case _Placed(operand=Constant(value=str(glob))):
                return glob
            case wrong:
                message = "a glob in quotes is needed here"
                raise self._wrong(wrong.token, message, "name like 'penguins*'")

    def _operand(self, left: Operand | None = None) -> _Placed:
        """Return the next operand. A word can be a text if it is compared with the field `left`."""
        token = self._next
        if token.is_sign_or_keyword("["):
            return _Placed(self._list(left), token)
        match token.kind:
            case "number":
                operand: Operand = Constant(number_of(token))
            case "text":
                operand = Constant(text_of(self._expression_text, token))
            case "word" if token.text in _CONSTANTS:
                operand = Constant(_CONSTANTS[token.text])
            case "word":
                return _Placed(self._field_or_text(left), token)
            case _:
                raise self._unexpected(token)
        self._position += 1
        return _Placed(operand, token)

    def _list(self, left: Operand | None) -> Operand:
        opening = self._next
        self._position += 1
        self._descend(opening)
        items: list[Operand] = []
        while not self._taken("]"):
            if items and not self._taken(","):
                message = "a list continues with a comma or ends with a bracket"
                raise self._wrong(self._next, message)
            items.append(self._operand(left).operand)
        self._depth -= 1
        values = [item.value for item in items if isinstance(item, Constant)]
        if len(values) == len(items):
            return Constant(values)
        return Items(tuple(items))

    def _field_or_text(self, left: Operand | None) -> Field | Constant:
        token = self._next
        path = self._path()
        found = self._found(path)
        if isinstance(left, Field) and path == tuple(token.text.split(".")):
            if not found:
                return Constant(token.text)
            self._check_not_text(token, found, left)
        if not found:
            message = f"there is no name {token.text!r}"
            raise self._wrong(token, message, self._suggestion(path))
        if len(found) > 1:
            message = f"the name {token.text!r} is ambiguous"
            raise self._wrong(token, message, did_you_mean(found))
        self._fields += found
        return Field(found[0])

    def _path(self) -> Path:
        keys = self._next.text.split(".")
        self._position += 1
        while True:
            if self._next.kind == "more":
                keys += self._next.text.split(".")[1:]
                self._position += 1
            elif opening := self._taken("["):
                keys.append(self._key_in_brackets(opening))
            else:
                return tuple(keys)

    def _found(self, path: Path) -> list[Path]:
        """Return the fields that a path names: at most one of a run's own, or some of others."""
        if is_field(path):
            return [path]
        own = own_field(".".join(path))
        return [own] if own else named(".".join(path), self._known)

    @cached_property
    def _known(self) -> list[Path]:
        return known_fields(self._rows)

    def _key_in_brackets(self, opening: Token) -> str:
        quoted = self._next
        if quoted.kind != "text":
            raise self._wrong(
                quoted, "a key in brackets is in quotes", 'params["odd key"]'
            )
        self._position += 1
        if not self._taken("]"):
            raise self._wrong(opening, "this bracket is not closed")
        return text_of(self._expression_text, quoted)

    # -- tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _taken(self, text: str) -> Token | None:
        """Take the next token if it is this keyword or sign. Return None otherwise."""
        token = self._next
        if not token.is_sign_or_keyword(text):
            return None
        self._position += 1
        return token

    def _descend(self, token: Token) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(
                token, f"this is nested more than {_DEEPEST} levels deep"
            )

    # -- errors

    def _wrong(
        self, token: Token, message: str, hint: str | None = None
    ) -> UsageError:
        return complaint(self._expression_text, token, message, hint)

    def _unexpected(self, token: Token) -> UsageError:
        if token.kind == "end":
            return self._wrong(token, "the expression ends too early")
        hint = None
        if token.kind in ("word", "more", "number"):
            hint = "values that are text are in quotes: name == 'penguins'"
        return self._wrong(token, f"{token.text!r} is not expected here", hint)

    def _check_status(self, asked: _Placed, given: _Placed) -> None:
        """Refuse to compare the field `status` with a status that does not exist."""
        if asked.operand != Field(("status",)) or not isinstance(
            given.operand, Constant
        ):
            return
        value = given.operand.value
        for status in value if isinstance(value, list) else [value]:
            if isinstance(status, str) and status not in Status.__members__:
                message = f"{status!r} is not a status"
                raise self._wrong(
                    given.token, message, f"there are: {', '.join(Status)}"
                )

    def _check_not_text(
        self, token: Token, found: Sequence[Path], left: Field
    ) -> None:
        """Refuse a short name that is also a value of the field with which it is compared."""
        text = token.text
        if text.startswith(tuple(f"{kind}." for kind in KINDS)):
            return
        get = getter(left.path)
        if any(get(row) == text for row in self._rows):
            fields = " or ".join(map(render_path, found))
            message = f"{text!r} may be a text or {fields}"
            hint = f"'{text}' in quotes is the text; the field is {fields}"
            if found[0] == (text,):
                hint = f"'{text}' in quotes is the text; the field goes to the left"
            raise self._wrong(token, message, hint)

    def _suggestion(self, path: Path) -> str:
        """Return a hint for a name that is not a field."""
        if len(path) == 1 and path[0].upper() in Status.__members__:
            return f"text is in quotes: '{path[0].upper()}'"
        if path[0] in KINDS:
            return f"{path[0]}.NAME, the name of one of the {path[0]}"
        if similar := meant(".".join(path), self._known):
            return did_you_mean(similar)
        return f"there are: {', '.join(OWN)}, params.NAME, metrics.NAME; text is in quotes"
