"""`--where`: what an expression selects, and what is said of one that cannot be understood."""

from __future__ import annotations

import contextlib
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitorch.errors import UsageError
from gitorch.model.run.status import Status
from gitorch.model.table.row import Row
from gitorch.model.table.where.expression import parse_where

ROW = Row(
    id="abcd11111111",
    name="penguins",
    label="penguins lr=0.1",
    status=Status.COMPLETE,
    commit="c" * 40,
    params={
        "lr": 0.1,
        "seed": 2,
        "note": "it's",
        "on": True,
        "layers": [64, 32],
        "optimizer": {"kind": "adam", "betas": {"first": 0.9}},
        "odd key": 1,
        "learning-rate": 3,
        "a.b": "dotted",
        "nothing": None,
    },
    swept=("lr",),
    metrics={"accuracy": 0.95, "test.f1": 0.5, "bad": None},
    created="2026-01-02T00:00:00.000000Z",
    started=None,
    ended=None,
    duration_s=12.5,
    clone="0123456789ab",
    identity="i",
)

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
def test_true(expression: str) -> None:
    assert parse_where(expression).matches(ROW) is True


@pytest.mark.parametrize("expression", FALSE)
def test_false(expression: str) -> None:
    assert parse_where(expression).matches(ROW) is False


@pytest.mark.parametrize(
    ("expression", "message", "place", "hint"),
    [
        ("lr == 0.1", "there is no name 'lr'", "lr", "did you mean params.lr?"),
        ("acuracy > 1", "there is no name 'acuracy'", "acuracy", "did you mean metrics.accuracy?"),
        ("param.lr > 1", "there is no name 'param.lr'", "param.lr", "params.lr"),
        ("test.f1 > 1", "there is no name 'test.f1'", "test.f1", "metrics.test.f1"),
        ("kind == 'a'", "there is no name 'kind'", "kind", "params.optimizer.kind"),
        ("staus == 'ERROR'", "there is no name 'staus'", "staus", "status"),
        ("status == COMPLETE", "no name 'COMPLETE'", "COMPLETE", "'COMPLETE'"),
        ("status == 'COMPLETED'", "'COMPLETED' is not a status", "'COMPLETED'", "COMPLETE"),
        ("status in ['ERROR', 'BAD']", "'BAD' is not a status", "[", "WAITING"),
        ("params > 1", "no name 'params'", "params", "params.NAME"),
        ("whatsoever == 1", "no name 'whatsoever'", "whatsoever", "params.NAME"),
        ("params.lr = 1", "'=' means nothing", "=", "=="),
        ("params.on && params.on", "'&&' means nothing", "&&", "and"),
        ("params.lr ==", "ends too early", "", None),
        ("", "is missing", "", "--where"),
        ("params.lr > 'unclosed", "is not closed", "'", None),
        ("(params.on", "not closed", "(", None),
        ("params.on)", "')' is not expected", ")", None),
        ("0 < params.lr < 1", "cannot be chained", "<", "a < b and b < c"),
        ("name like params.note", "a glob in quotes", "params.note", None),
        ("params.lr not 3", "after `not`", "3", None),
        ("name == penguins", "no name 'penguins'", "penguins", "quotes"),
        ("params.x params.y", "'params.y' is not expected", "params.y", None),
        ("params[3] == 1", "in quotes", "3", "params["),
        ("params.lr in [1, 2", "a list continues", "", None),
        (r"name == 'a\q'", r"\q is not an escape", r"\q", None),
        ("name == 'a' #", "'#' means nothing", "#", None),
        ("(" * 1000 + "true" + ")" * 1000, "nested more than", "(", None),
        ("params.x in " + "[" * 1000, "nested more than", "[", None),
    ],
)
def test_complaints_show_the_place(
    expression: str, message: str, place: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as raised:
        parse_where(expression, [ROW])
    said, line, pointer = raised.value.message.split("\n")
    assert message in said
    start = pointer.index("^")
    assert line[start : start + pointer.count("^")].startswith(place)
    assert pointer.count("^") == max(len(place), 1) or place == "["
    if hint:
        assert hint in (raised.value.hint or "")


def test_a_long_expression_is_shown_around_the_place() -> None:
    with pytest.raises(UsageError) as raised:
        parse_where("true or " * 1000 + "oops or" + " true or" * 1000 + " true")
    _, line, pointer = raised.value.message.split("\n")
    assert len(line) < 200
    assert line[pointer.index("^") :].startswith("oops")


def test_a_very_long_one_does_not_exhaust_the_stack() -> None:
    for expression in (
        "true and " * 50_000 + "true",
        "not " * 100_000 + "true",
        "false or " * 50_000 + "true",
    ):
        assert parse_where(expression).matches(ROW) is True
    assert parse_where(f"params.seed in [{','.join(map(str, range(50_000)))}]").matches(ROW)
    assert parse_where(f"params.seed < {'9' * 100_000}").matches(ROW)


def test_names_that_no_run_has_are_told() -> None:
    found = parse_where(
        "metrics.acuracy > 1 and params.lr > 0 and params.optimizer.kind == 'x' and id == 'a'"
    )
    assert found.unknown_fields([ROW]) == [
        "no run has metrics.acuracy; did you mean metrics.accuracy?"
    ]
    assert parse_where("metrics.test.f1 > 0").unknown_fields([ROW]) == []


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
        st.tuples(st.sampled_from(("and", "or")), st.lists(below, min_size=2, max_size=4)),
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
    """What an expression is to mean, said once more in another way."""
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
        type(side) if isinstance(side, bool) or not isinstance(side, number) else float
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
    return {"<": own < value, "<=": own <= value, ">": own > value, ">=": own >= value}[sign]


@given(TREES, st.dictionaries(st.sampled_from(KEYS), SCALARS))
def test_an_expression_means_what_it_says(tree: Any, params: dict[str, Any]) -> None:
    assert parse_where(rendered(tree)).matches(replace(ROW, params=params)) is meaning(
        tree, params
    ), rendered(tree)


WORDS = st.sampled_from(
    [
        *'()[],<~.1\\…\n"',
        "params.a",
        "metrics.b",
        "status",
        "and",
        "or",
        "not",
        "in",
        "like",
        "==",
        "'x'",
        "null",
        "&&",
    ]
)


@given(
    st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(string.printable, max_size=40))
)
def test_whatever_is_written_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_where(text, [ROW]).matches(ROW) in (True, False)
