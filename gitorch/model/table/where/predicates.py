"""The predicate of an expression: from the tree of its grammar to one function of a row.

The tree is compiled to closures once, since evaluating the tree for each row takes longer.

Only values of the same kind (`gitorch.model.values`) can be equal or ordered. A value that a run
does not have is null. Comparisons with null are false, except for `== null`, `!= null` and
`in [null]`. `like` compares a text with a glob.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any

from gitorch.model.table.fields import Getter, getter
from gitorch.model.table.row import Row
from gitorch.model.table.where.grammar import (
    AllOf,
    AnyOf,
    Condition,
    Constant,
    Field,
    Items,
    Likeness,
    Membership,
    Negation,
    Operand,
    Relation,
    Truth,
)
from gitorch.model.values import are_ordered, equal

Predicate = Callable[[Row], bool]

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def predicate_of(condition: Condition) -> Predicate:
    """Return a function that returns True for the rows that satisfy the condition."""
    match condition:
        case AnyOf(conditions=conditions):
            parts = list(map(predicate_of, conditions))
            return lambda row: any(part(row) for part in parts)
        case AllOf(conditions=conditions):
            parts = list(map(predicate_of, conditions))
            return lambda row: all(part(row) for part in parts)
        case Negation(condition=negated):
            predicate = predicate_of(negated)
            return lambda row: not predicate(row)
        case Truth(operand=operand):
            get = _getter(operand)
            return lambda row: get(row) is True
        case Relation():
            return _relation(condition)
        case Membership(left=left, right=right, is_negated=is_negated):
            return _with_negation(left, _member(left, right), is_negated=is_negated)
        case Likeness(left=left, glob=glob, is_negated=is_negated):
            return _with_negation(left, _like(left, glob), is_negated=is_negated)


def _getter(operand: Operand) -> Getter:
    """Return a function that returns the operand's value for a row."""
    match operand:
        case Constant(value=value):
            return lambda row: value
        case Field(path=path):
            return getter(path)
        case Items(items=items):
            getters = list(map(_getter, items))
            return lambda row: [get(row) for get in getters]


def _relation(relation: Relation) -> Predicate:
    left, right = _getter(relation.left), _getter(relation.right)
    match relation.sign:
        case "==":
            return lambda row: equal(left(row), right(row))
        case "!=":
            if Constant(None) in (relation.left, relation.right):
                return lambda row: not equal(left(row), right(row))
            return lambda row: _unequal(left(row), right(row))
        case sign:
            order = _ORDERS[sign]
            return lambda row: _ordered(order, left(row), right(row))


def _unequal(one: Any, other: Any) -> bool:
    return one is not None and other is not None and not equal(one, other)


def _ordered(order: Callable[[Any, Any], bool], one: Any, other: Any) -> bool:
    return are_ordered(one, other) and order(one, other)


def _member(left: Operand, right: Operand) -> Predicate:
    get, get_list = _getter(left), _getter(right)

    def is_member(row: Row) -> bool:
        value, among = get(row), get_list(row)
        return isinstance(among, list) and any(equal(value, item) for item in among)

    return is_member


def _like(left: Operand, glob: str) -> Predicate:
    get = _getter(left)
    pattern = re.compile(translate(glob))

    def is_like(row: Row) -> bool:
        value = get(row)
        return isinstance(value, str) and pattern.match(value) is not None

    return is_like


def _with_negation(
    left: Operand, predicate: Predicate, *, is_negated: bool
) -> Predicate:
    """Return `predicate`, or its negation for `not in` and `not like`, which is false for null."""
    if not is_negated:
        return predicate
    get = _getter(left)
    return lambda row: get(row) is not None and not predicate(row)
