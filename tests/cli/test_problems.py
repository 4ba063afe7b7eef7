"""Problems of configs as text, as annotations for GitHub, and counted."""

from __future__ import annotations

from msgspec.structs import replace

from gitorch.cli.problems import (
    render_counts,
    render_github,
    render_problem,
    render_problems,
)
from gitorch.model.problem import Problem, Severity

TYPO = Problem(
    file="experiments/typo.yaml",
    line=13,
    column=3,
    length=6,
    message="unknown key 'comand'",
    hint="did you mean 'command'?",
    excerpt="  comand: python train.py",
)


def test_a_problem_points_at_its_position() -> None:
    assert render_problem(TYPO, colors=False) == (
        "error: unknown key 'comand'\n"
        "  --> experiments/typo.yaml:13:3\n"
        "   |\n"
        "13 |   comand: python train.py\n"
        "   |   ^^^^^^\n"
        "   = help: did you mean 'command'?\n"
    )


def test_a_problem_of_many_files_is_shown_once() -> None:
    files = [f"experiments/{number}.yaml" for number in range(100)]
    problems = [replace(TYPO, file=file) for file in files]
    other = replace(TYPO, column=4)
    texts = list(render_problems([*problems, other], colors=False))
    assert len(texts) == 2
    assert texts[0] == (
        "error: unknown key 'comand'\n"
        "  --> experiments/0.yaml:13:3\n"
        "   |\n"
        "13 |   comand: python train.py\n"
        "   |   ^^^^^^\n"
        "   = help: did you mean 'command'?\n"
        "   = note: the same at experiments/1.yaml:13:3, experiments/2.yaml:13:3, "
        "experiments/3.yaml:13:3 and 96 more\n"
    )
    assert texts[1] == render_problem(other, colors=False)


def test_a_problem_after_wide_characters_is_underlined_where_it_is() -> None:
    problem = replace(
        TYPO, line=1, column=7, length=4, excerpt="ペンギン: 種類が", hint=None
    )
    _, _, _, excerpt, marks, _ = render_problem(problem, colors=False).split("\n")
    assert excerpt == "1 | ペンギン: 種類が"
    assert marks == "  |           ^^^^^^"


def test_a_hostile_problem_cannot_break_out_of_its_annotation() -> None:
    hostile = Problem(
        file="a,b:c.yaml",
        line=2,
        column=1,
        message="50%\nnew: line",
        severity=Severity.WARNING,
    )
    assert (
        render_github(hostile)
        == "::warning file=a%2Cb%3Ac.yaml,line=2,col=1::50%25%0Anew: line"
    )


def test_problems_are_counted_by_severity() -> None:
    assert render_counts([TYPO, TYPO]) == "2 errors"
    assert render_counts([]) == "no problems"
