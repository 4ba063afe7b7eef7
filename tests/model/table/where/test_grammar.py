"""Complaints about expressions, which show the token that is wrong and suggest another."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitorch.errors import UsageError
from gitorch.model.table.fields import render_path
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
        ("same == 1", "'same' is ambiguous", "same", "params.same or metrics.same"),
        (
            "params.kin == kind",
            "'kind' may be a text or",
            "kind",
            "'kind' in quotes",
        ),
        (
            "params.kin in [a, lr]",
            "'lr' may be a text or",
            "lr",
            "field is params.lr",
        ),
        (
            "params.kin == name",
            "'name' may be a text or",
            "name",
            "goes to the left",
        ),
        ("params.lr < adam", "there is no name 'adam'", "adam", None),
        ("params.lr in adam", "there is no name 'adam'", "adam", None),
        ("1 == adam", "there is no name 'adam'", "adam", None),
        (
            "acuracy > 1",
            "there is no name 'acuracy'",
            "acuracy",
            "did you mean metrics.accuracy?",
        ),
        ("param.lr > 1", "there is no name 'param.lr'", "param.lr", "params.lr"),
        ("staus == 'ERROR'", "there is no name 'staus'", "staus", "status"),
        (
            "status == COMPLETED",
            "'COMPLETED' is not a status",
            "COMPLETED",
            "COMPLETE",
        ),
        ("COMPLETE == status", "no name 'COMPLETE'", "COMPLETE", "'COMPLETE'"),
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
        ("name == my penguins", "'penguins' is not expected", "penguins", "quotes"),
        ("created > 2026-01-02", "'-01' is not expected", "-01", "quotes"),
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
    ambiguous = replace(ROW, params={"same": 1}, metrics={"same": 1})
    texts = ["kind", "lr", "name"]
    rows = [ROW, ambiguous, *(replace(ROW, params={"kin": text}) for text in texts)]
    with pytest.raises(UsageError) as raised:
        parse_where(expression, rows)
    said, line, pointer = raised.value.message.split("\n")
    assert message in said
    start = pointer.index("^")
    assert line[start : start + pointer.count("^")].startswith(shown)
    assert pointer.count("^") == max(len(shown), 1) or shown == "["
    if hint:
        assert hint in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("lr == 0.1", ("params", "lr")),
        ("accuracy > 0.9", ("metrics", "accuracy")),
        ("took == 12.5", ("duration_s",)),
        ("kind == adam", ("params", "optimizer", "kind")),
        ("betas.first == 0.9", ("params", "optimizer", "betas", "first")),
        ("test.f1 == 0.5", ("metrics", "test.f1")),
        ("f1 < lr", ("metrics", "test.f1")),
        ("optimizer['kind'] in [sgd, adam]", ("params", "optimizer", "kind")),
        ("val/acc@5:top-1% == 1", ("metrics", "val/acc@5:top-1%")),
        ("status == COMPLETE", ("status",)),
        ("status in [ERROR, COMPLETE]", ("status",)),
        ("name != data/v2:a.b@c", ("name",)),
        ("'adam' == kind", ("params", "optimizer", "kind")),
    ],
)
def test_short_names_and_texts_without_quotes(
    expression: str, path: tuple[str, ...]
) -> None:
    row = replace(ROW, metrics={**ROW.metrics, "val/acc@5:top-1%": 1, "f1 <": 0})
    where = parse_where(expression, [row])
    assert where.fields[0] == path
    assert where.matches(row) is ("f1 <" not in expression)


def test_a_rendered_path_is_a_name_in_an_expression() -> None:
    for key in ("a/b", "top-1%", "a@b:c", "x.1", "a b", "a..b", "ä²", "a#"):
        path = ("params", key)
        [found] = parse_where(f"{render_path(path)} == 1", []).fields
        assert ".".join(found) == f"params.{key}"


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
        "lr",
        "x/y",
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
