"""What people read: nothing in it that a terminal would obey, nothing cut off."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.cli.problems import render_counts, render_github, render_problem
from gitorch.cli.style import display_width, duration, has_colors, number, paint, plain, table
from gitorch.model.problem import Problem, Severity
from tests.conftest import gitorch, write

TYPO = Problem(
    file="experiments/typo.yaml",
    line=13,
    column=3,
    length=6,
    message="unknown key 'comand'",
    hint="did you mean 'command'?",
    excerpt="  comand: python train.py",
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("title\x1b]0;gone\x07!", "title!"),
        ("link\x1b]8;;http://x\x1b\\here", "linkhere"),
        ("bell\x07\x08\rback", "bellback"),
        ("kept\ttab\nline", "kept\ttab\nline"),
        ("lone \udcff byte", "lone ? byte"),
        ("ünï 日本", "ünï 日本"),
    ],
)
def test_a_terminal_has_nothing_to_obey(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (12, "12s"),
        (59.6, "1m00s"),
        (200, "3m20s"),
        (239.7, "4m00s"),
        (3599.7, "1h00m"),
        (7500, "2h05m"),
        (86_399, "1d00h"),
        (273_600, "3d04h"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_numbers_are_short_and_integers_whole() -> None:
    assert [number(value) for value in (0.1234567, 3, 1e-9, 10**12)] == [
        "0.123457",
        "3",
        "1e-09",
        "1000000000000",
    ]


def test_columns_are_aligned_whatever_their_colours() -> None:
    red = paint("bad", "red", on=True)
    assert table(
        [["one", red, "1"], ["three", "worse", "2"]], header=["name", "how", "n"], colors=False
    ) == [
        "name   how    n",
        f"one    {red}    1",
        "three  worse  2",
    ]


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("plain", 5),
        ("ペンギン", 8),
        ("ﾍﾟﾝｷﾞﾝ", 6),
        ("naïve", 5),
        (unicodedata.normalize("NFD", "naïve"), 5),
        (unicodedata.normalize("NFD", "한국"), 4),
        ("🐧", 2),
        ("\N{ZERO WIDTH JOINER}", 0),
        ("\x1b[31mred\x1b[0m", 3),
    ],
)
def test_a_text_is_as_wide_as_its_cells(text: str, width: int) -> None:
    assert display_width(text) == width


def test_wide_characters_do_not_shift_the_columns_beside_them() -> None:
    assert table([["ペンギン", "1"], ["penguin", "2"]], header=["name", "n"], colors=False) == [
        "name      n",
        "ペンギン  1",
        "penguin   2",
    ]


def test_a_problem_after_wide_characters_is_marked_in_its_cells() -> None:
    problem = replace(TYPO, line=1, column=7, length=4, excerpt="ペンギン: 種類が", hint=None)
    _, _, _, excerpt, marks, _ = render_problem(problem, colors=False).split("\n")
    assert excerpt == "1 | ペンギン: 種類が"
    assert marks == "  |           ^^^^^^"


def test_no_colours_off_a_terminal() -> None:
    assert not has_colors(io.StringIO())
    assert paint("x", "red", on=False) == "x"


def test_a_problem_points_at_its_place() -> None:
    assert render_problem(TYPO, colors=False) == (
        "error: unknown key 'comand'\n"
        "  --> experiments/typo.yaml:13:3\n"
        "   |\n"
        "13 |   comand: python train.py\n"
        "   |   ^^^^^^\n"
        "   = help: did you mean 'command'?\n"
    )


def test_a_problem_as_an_annotation_cannot_break_out_of_it() -> None:
    hostile = Problem(
        file="a,b:c.yaml", line=2, column=1, message="50%\nnew: line", severity=Severity.WARNING
    )
    assert render_github(hostile) == "::warning file=a%2Cb%3Ac.yaml,line=2,col=1::50%25%0Anew: line"


def test_problems_are_render_counts_by_severity() -> None:
    assert render_counts([TYPO, TYPO]) == "2 errors"
    assert render_counts([]) == "no problems"


def test_nothing_of_a_run_is_obeyed_by_the_terminal_or_breaks_a_line(project: Path) -> None:
    config = {
        "note": "\x1b[31mred",
        "tasks": [{"id": "t", "command": ["sh", "-c", "printf '\\033[2Jwiped'; exit 1"]}],
    }
    write(project, "experiments/a.yaml", json.dumps(config))
    write(project, "experiments/b.yaml", json.dumps({**config, "note": "two\nlines"}))
    assert "\x1b" not in gitorch(project, "run", "experiments", code=1).stderr
    said = [
        gitorch(project, *verb).stdout
        for verb in (["show", "a"], ["show", "b"], ["list"], ["compare", "a", "b"])
    ]
    assert "\x1b" not in "".join(said)
    assert "red" in said[0]
    assert all("two\\nlines" in text for text in said[1:])
