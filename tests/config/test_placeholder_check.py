"""Placeholders in commands and outputDir: they exist, and their values can be used there."""

from __future__ import annotations

import pytest

from gitorch.model.problem import Severity
from tests.config.complaints import TASKS, complaints, load, marked


def test_a_parameter_cannot_lead_outputDir_out_of_the_repository() -> None:
    text = f"outputDir: 'out/{{data}}'\ndata: ../../x\n{TASKS}"
    assert complaints(text).startswith(
        "1:12: error: filled in, 'outputDir' is 'out/../../x', which leads outside"
    )
    assert complaints(f"outputDir: '{{data}}'\ndata: /x\n{TASKS}").startswith(
        "1:12: error: filled in, "
    )


def test_the_placeholders_of_outputDir_are_parameters_and_facts_of_the_run() -> (
    None
):
    assert (
        complaints(
            f'outputDir: "{{date}}/{{time}}/{{id}}/{{name}}/{{lr}}"\nlr: 1\n{TASKS}'
        )
        == ""
    )
    assert complaints(f'outputDir: "{{dat}}"\n{TASKS}') == (
        "1:13: error: there is no parameter 'dat', did you mean 'date'?\n"
        "  to mean braces, put blanks in them: { dat }"
    )


def test_a_problem_points_at_the_placeholder() -> None:
    text = """\
        learningRate: 1
        tasks:
          - id: a
            command: |
              echo ${lerningRate} {learningRate}
              echo {lerningRate} "{learningRate}"
          - {id: b, command: "a \\t{x}", needs: []}
          - {id: c, command: [a, "b", "{y} '{learningRate}'"], needs: []}
        """
    problems = load(text).problems
    assert [
        (problem.line, problem.column, marked(problem)) for problem in problems
    ] == [
        (6, 12, "{lerningRate}"),
        (7, 27, "{x}"),
        (8, 32, "{y}"),
    ]
    assert (
        problems[0].message
        == "there is no parameter 'lerningRate', did you mean 'learningRate'?"
    )


@pytest.mark.parametrize("command", ["'{lr}'", 'x "{lr}"', 'x "$(y "{lr}")"'])
def test_a_placeholder_inside_quotes_is_refused(command: str) -> None:
    (problem,) = load(
        f"lr: 1\ntasks:\n  - id: a\n    command: |\n      {command}\n"
    ).problems
    assert problem.message == "{lr} stands where the shell takes quotes literally"
    assert problem.hint is not None
    assert "{{lr}}" in problem.hint
    assert (problem.line, marked(problem)) == (5, "{lr}")


@pytest.mark.parametrize(
    "command",
    ["curl -w '%{http_code}'", 'echo "{lrr}"', "echo '{{lr}}' {{lr}} {lr}"],
)
def test_unknown_names_inside_quotes_and_double_braces_are_left_alone(
    command: str,
) -> None:
    config = load(f"lr: 1\ntasks:\n  - id: a\n    command: |\n      {command}\n")
    assert config.problems == ()
    [spec] = config.specs
    assert spec.tasks[0].double_braces == ("{{" in command)


def test_an_unknown_name_in_a_list_is_refused_with_the_way_to_write_it() -> None:
    [problem] = load("tasks: [{id: a, command: [jq, '{a}']}]\n").problems
    assert problem.hint == "to mean braces, double them: {{a}}"
    assert load("tasks: [{id: a, command: [jq, '{{a}}']}]\n").problems == ()


def test_other_braces_are_not_placeholders() -> None:
    assert (
        complaints(
            "tasks: [{id: a, command: 'awk ''{print $1}'' ${HOME} {} {a,b}'}]"
        )
        == ""
    )


@pytest.mark.parametrize(
    "command",
    [
        '""',
        '" "',
        "[]",
        '[""]',
        "null",
        "3",
        "{a: b}",
        "[a, [b]]",
        r'"a\0"',
        r'[a, "\0"]',
    ],
)
def test_a_command_that_cannot_be_run_is_refused(command: str) -> None:
    config = load(f"tasks: [{{id: a, command: {command}}}]")
    assert len(config.problems) == 1
    assert config.problems[0].severity is Severity.ERROR


def test_a_value_that_no_command_can_hold_is_refused() -> None:
    assert "filled in, 'command' holds a NUL character" in complaints(
        'x: "\\0"\ntasks: [{id: a, command: "echo {x}"}]'
    )
    assert complaints('x: "\\0"\ntasks: [{id: a, method: A}]') == ""


def test_a_problem_with_a_placeholder_written_with_escapes_points_at_the_whole_text() -> (
    None
):
    (problem,) = load(r'tasks: [{id: a, command: "x \x7by}"}]').problems
    assert marked(problem) == r'"x \x7by}"'


def test_at_most_twenty_placeholders_of_a_text_are_reported() -> None:
    assert (
        len(load("tasks: [{id: a, command: '" + "{x} " * 100 + "'}]").problems)
        == 20
    )
