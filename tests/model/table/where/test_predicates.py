"""The value of an expression for a row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitorch.model.table.where.expression import parse_where
from tests.model.table.sample import ROW

# Of `sample.ROW`.
TRUE = [
    "metrics.accuracy > 0.9 and params.lr == 0.1 and status == 'COMPLETE'",
    "params.lr == 1e-1",
    "params.seed == 2.0",
    "metrics.accuracy >= .95",
    "-1 < params.seed",
    "params.seed <= 2 and params.seed >= 2 and params.seed != 3",
    'name == "penguins"',
    "name like 'peng*' and name ~ '?enguins' and label like '* lr=0.[0-9]'",
    "name not like 'whale*'",
    "not name like 'whale*'",
    "status in ['ERROR', 'COMPLETE']",
    "status not in ['ERROR', 'FAILED']",
    "params.optimizer.kind == 'adam'",
    "params.optimizer.betas.first == 0.9",
    'params["optimizer"]["betas"].first == 0.9',
    'params["odd key"] == 1',
    "params.learning-rate == 3",
    "params.a.b == 'dotted'",
    "metrics.test.f1 == 0.5",
    'metrics["test.f1"] == 0.5',
    r"params.note == 'it\'s'",
    r'params.note == "it\u0027s"',
    'params.note == "it\'s"',
    "params.on",
    "params.on == true and params.on == True",
    "not params.off",
    "params.layers == [64, 32]",
    "64 in params.layers",
    "params.seed in [1, params.seed]",
    "params.nothing == null",
    "params.missing == null and params.missing == None",
    "null == params.missing",
    "params.lr != null",
    "metrics.bad == null",
    "started == null",
    "created > '2026-01' and created < '2026-02'",
    "duration_s > 10",
    "params.missing in [null, 1]",
    "params.lr != 'text'",
    "NOT params.off AND (status == 'ERROR' OR true)",
    "params.lr == 5 or params.seed == 2 and true",
    "not not params.on",
    "  \n params.on\t",
]
FALSE = [
    "metrics.accuracy > 0.99",
    "params.missing == 3",
    "params.missing != 3",
    "3 != params.missing",
    "params.missing < 3 or params.missing >= 3",
    "params.missing in [1]",
    "params.missing not in [1]",
    "params.missing not like 'a*'",
    "params.missing like '*'",
    "params.missing != null",
    "params.lr == '0.1'",
    "params.lr < 'text' or params.lr > 'text' or 'text' < params.lr",
    "params.on == 1",
    "params.on < 2",
    "params.seed",
    "params.seed in params.lr",
    "params.seed like '2'",
    "name like 'enguins'",
    "params.layers < [99]",
    "params.layers == [64, true]",
    "params.lr.deeper == 1",
    "(params.lr == 5 or params.seed == 2) and false",
]


@pytest.mark.parametrize("expression", TRUE)
def test_the_expression_is_true_of_the_row(expression: str) -> None:
    assert parse_where(expression).matches(ROW) is True


@pytest.mark.parametrize("expression", FALSE)
def test_the_expression_is_false_of_the_row(expression: str) -> None:
    assert parse_where(expression).matches(ROW) is False


KEYS = ("a", "b", "odd key")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3),
    st.sampled_from(("", "a", "b'\"\\")),
)
LEAVES = st.tuples(
    st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "in", "not in")),
    st.sampled_from(KEYS),
    SCALARS,
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.tuples(st.just("not"), below),
        st.tuples(
            st.sampled_from(("and", "or")), st.lists(below, min_size=2, max_size=4)
        ),
    ),
    max_leaves=12,
)


def rendered(tree: Any) -> str:
    match tree:
        case ("not", below):
            return f"not ({rendered(below)})"
        case ("and" | "or" as word, list() as parts):
            return f" {word} ".join(f"({rendered(part)})" for part in parts)
        case ("in" | "not in" as sign, key, value):
            return f'params["{key}"] {sign} [{json.dumps(value)}]'
        case (sign, key, value):
            return f'params["{key}"] {sign} {json.dumps(value)}'
    raise AssertionError(tree)


def meaning(tree: Any, params: dict[str, Any]) -> bool:
    """Return the value of an expression for `params`, computed in another way."""
    match tree:
        case ("not", below):
            return not meaning(below, params)
        case ("and", list() as parts):
            return all(meaning(part, params) for part in parts)
        case ("or", list() as parts):
            return any(meaning(part, params) for part in parts)
    sign, key, value = tree
    own = params.get(key)
    number = (int, float)
    kinds = [
        type(side)
        if isinstance(side, bool) or not isinstance(side, number)
        else float
        for side in (own, value)
    ]
    same = kinds[0] is kinds[1] and own == value
    match sign:
        case "==" | "in":
            return same
        case "!=":
            return not same and (own is not None or value is None)
        case "not in":
            return not same and own is not None
    if kinds[0] is not kinds[1] or kinds[0] not in (float, str):
        return False
    return {
        "<": own < value,
        "<=": own <= value,
        ">": own > value,
        ">=": own >= value,
    }[sign]


@given(TREES, st.dictionaries(st.sampled_from(KEYS), SCALARS))
def test_expressions_have_the_value_that_another_implementation_computes(
    tree: Any, params: dict[str, Any]
) -> None:
    assert parse_where(rendered(tree)).matches(
        replace(ROW, params=params)
    ) is meaning(tree, params), rendered(tree)
