"""Complaints about expressions, which show the token that is wrong and suggest another."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitorch.errors import UsageError
from gitorch.model.table.where.expression import parse_where
from gitorch.model.table.where.grammar import (
    AllOf,
    AnyOf,
    Constant,
    Field,
    Items,
    Likeness,
    Membership,
    Negation,
    Relation,
    Truth,
    parse,
)
from tests.model.table.sample import ROW


def test_an_expression_becomes_a_tree() -> None:
    lr, seed = Field(("params", "lr")), Field(("params", "seed"))
    parsed = parse(
        "params.lr < .1 and not (params.on or params.seed not in [1, params.lr]) or name like 'a*'",
        [],
    )
    is_on = Truth(Field(("params", "on")))
    is_other_seed = Membership(seed, Items((Constant(1), lr)), is_negated=True)
    assert parsed.condition == AnyOf(
        (
            AllOf(
                (
                    Relation("<", lr, Constant(0.1)),
                    Negation(AnyOf((is_on, is_other_seed))),
                )
            ),
            Likeness(Field(("name",)), "a*", is_negated=False),
        )
    )
    assert parsed.fields == (
        lr.path,
        ("params", "on"),
        seed.path,
        lr.path,
        ("name",),
    )


@pytest.mark.parametrize(
    ("expression", "message", "shown", "hint"),
    [
        ("lr == 0.1", "there is no name 'lr'", "lr", "did you mean params.lr?"),
        (
            "acuracy > 1",
            "there is no name 'acuracy'",
            "acuracy",
            "did you mean metrics.accuracy?",
        ),
        ("param.lr > 1", "there is no name 'param.lr'", "param.lr", "params.lr"),
        ("test.f1 > 1", "there is no name 'test.f1'", "test.f1", "metrics.test.f1"),
        ("kind == 'a'", "there is no name 'kind'", "kind", "params.optimizer.kind"),
        ("staus == 'ERROR'", "there is no name 'staus'", "staus", "status"),
        ("status == COMPLETE", "no name 'COMPLETE'", "COMPLETE", "'COMPLETE'"),
        (
            "status == 'COMPLETED'",
            "'COMPLETED' is not a status",
            "'COMPLETED'",
            "COMPLETE",
        ),
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
def test_a_complaint_shows_the_token(
    expression: str, message: str, shown: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as raised:
        parse_where(expression, [ROW])
    said, line, pointer = raised.value.message.split("\n")
    assert message in said
    start = pointer.index("^")
    assert line[start : start + pointer.count("^")].startswith(shown)
    assert pointer.count("^") == max(len(shown), 1) or shown == "["
    if hint:
        assert hint in (raised.value.hint or "")


def test_a_long_expression_is_shown_around_the_token() -> None:
    with pytest.raises(UsageError) as raised:
        parse_where("true or " * 1000 + "oops or" + " true or" * 1000 + " true")
    _, line, pointer = raised.value.message.split("\n")
    assert len(line) < 200
    assert line[pointer.index("^") :].startswith("oops")


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
    st.one_of(
        st.lists(WORDS, max_size=12).map(" ".join),
        st.text(string.printable, max_size=40),
    )
)
def test_any_text_is_an_expression_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_where(text, [ROW]).matches(ROW) in (True, False)
