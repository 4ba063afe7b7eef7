"""The tokens of an expression."""

from __future__ import annotations

import pytest

from gitorch.errors import UsageError
from gitorch.model.table.where.tokens import Token, number_of, text_of, tokens_of


def test_an_expression_is_read_into_tokens() -> None:
    tokens = tokens_of("params['a b'].x >= -1.5 AND  nota")
    assert [(token.kind, token.text) for token in tokens] == [
        ("word", "params"),
        ("sign", "["),
        ("text", "'a b'"),
        ("sign", "]"),
        ("more", ".x"),
        ("sign", ">="),
        ("number", "-1.5"),
        ("keyword", "AND"),
        ("word", "nota"),
        ("end", ""),
    ]
    assert [token.start for token in tokens] == [
        0,
        6,
        7,
        12,
        13,
        16,
        19,
        24,
        29,
        33,
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2", -2),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("9" * 2000, float("inf")),
    ],
)
def test_a_number_is_an_int_if_it_is_written_as_one(
    text: str, value: float
) -> None:
    number = number_of(Token("number", text, 0))
    assert (type(number), number) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''", "it'"),
        (r"'it\'s'", "it's"),
        (r'"a\\b\n\u00e9"', "a\\b\né"),
        ("'two\nlines'", "two\nlines"),
    ],
)
def test_a_text_has_escapes(text: str, value: str) -> None:
    assert text_of(text, Token("text", text, 0)) == value


def test_an_unknown_escape_is_shown() -> None:
    with pytest.raises(UsageError, match="is not an escape") as raised:
        text_of(r"name == 'a\q'", Token("text", r"'a\q'", 8))
    assert raised.value.message.splitlines()[-1] == " " * 12 + "^^"
