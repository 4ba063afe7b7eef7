"""What people read: nothing in it that a terminal would obey, nothing cut off."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gitorch.cli.problems import render_counts, render_github, render_problem
from gitorch.cli.style import duration, has_colors, number, paint, plain, table
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
        (12, "12s"),
        (200, "3m20s"),
        (7500, "2h05m"),
        (273600, "3d04h"),
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
