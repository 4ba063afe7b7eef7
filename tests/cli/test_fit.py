"""Tables on terminals of any width."""

from __future__ import annotations

import pytest

from gitorch.cli.fit import Column, cut, fitted_table, joined_within, title_cut
from gitorch.cli.style import display_width

COLUMNS = [
    Column("id", 0),
    Column("note", 2, is_text=True),
    Column("model.optimizer.lr", 1),
]
ROWS = [["abcdef", "ペンギンのとても長いメモ", "0.125"]]


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("short", 5, "short"),
        ("too long", 5, "too…"),
        ("ペンギン", 8, "ペンギン"),
        ("ペンギン", 6, "ペン…"),
        ("ペンギン", 5, "ペン…"),
        ("né né né", 5, "né n…"),
        ("", 3, ""),
    ],
)
def test_a_text_is_cut_to_the_cells_that_it_has(
    text: str, width: int, shown: str
) -> None:
    assert cut(text, width) == shown
    assert display_width(cut(text, width)) <= width


def test_the_end_of_a_title_is_shown() -> None:
    assert title_cut("model.optimizer.lr", 8) == "…izer.lr"


@pytest.mark.parametrize("width", [24, 30, 41, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    fitted = fitted_table(ROWS, COLUMNS, width=width, colors=False)
    assert max(map(display_width, fitted.lines)) <= width
    assert "0.125" in fitted.lines[1], "a number is never cut"


def test_the_least_informative_column_is_dropped_first() -> None:
    assert fitted_table(ROWS, COLUMNS, width=30, colors=False).dropped == ["note"]
    everything = fitted_table(ROWS, COLUMNS, width=None, colors=False)
    assert everything.dropped == []
    assert ROWS[0][1] in everything.lines[1], "nothing is cut in a pipe"
    kept = fitted_table(ROWS, COLUMNS, width=30, colors=False, keeps_all=True)
    assert kept.dropped == []


def test_a_line_says_how_many_more_there_are() -> None:
    texts = ["a=1", "b=2", "c=3"]
    assert joined_within("all: ", texts, " ", None) == "all: a=1 b=2 c=3"
    assert joined_within("all: ", texts, " ", 16) == "all: a=1 b=2 c=3"
    assert joined_within("all: ", texts, " ", 15) == "all: … and 3 more"
    assert joined_within("all: ", texts, " ", 20) == "all: a=1 b=2 c=3"
