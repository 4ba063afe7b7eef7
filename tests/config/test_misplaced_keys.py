"""gitorch's own keys outside of `gitorch:`: errors with the line to write, or parameters."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from gitorch.config.flow_text import flow_text
from gitorch.config.pipeline import ConfigContext, load_config
from gitorch.config.schema import file_settings
from gitorch.config.yaml_parser import parse_document
from tests.config.complaints import TASKS, complaints, load, said

# A value of the right shape for every key under `gitorch:`.
SHAPES: dict[str, Any] = {
    "cache": True,
    "code": ["src"],
    "conda": "environment.yml",
    "discard": ["*.ckpt"],
    "env": {"OMP_NUM_THREADS": 1},
    "engine": "slurm",
    "environment": ["Rscript --version"],
    "exclude": [{"lr": 0.1}],
    "extends": "_base.yaml",
    "include": [{"lr": 0.1}],
    "inputs": ["data/train.csv"],
    "flags": {"bool": "switch"},
    "link": ["data"],
    "matrix": {"lr": [0.1, 0.2]},
    "metrics": ["scores.json"],
    "name": "penguins",
    "outputs": ["figures/*.png"],
    "paramsFile": "params.yaml",
    "priority": 5,
    "python": ".venv/bin/python",
    "resources": {"cpu": 2},
    "retries": 2,
    "shell": "zsh -e",
    "ship": ["data/*"],
    "slurm": {"partition": "gpu"},
    "sparse": ["apps/model"],
    "timeout": "1s",
    "version": 1,
    "volatile": ["timing.csv"],
    "zip": {"lr": [0.1, 0.2]},
}


def test_steps_outside_of_gitorch_are_a_parameter() -> None:
    loaded = load(f"steps: 100\n{TASKS}")
    assert loaded.problems == ()
    assert loaded.specs[0].params == {"steps": 100}


@pytest.mark.parametrize("key", sorted(set(file_settings()) - {"steps"}))
def test_every_key_of_gitorch_is_an_error_outside_of_it(key: str) -> None:
    written = flow_text(SHAPES[key])
    (problem,) = load(f"{key}: {written}\n{TASKS}").problems
    assert problem.message == (
        f"'{key}' belongs under 'gitorch'; here it would be a parameter"
    )
    assert (problem.line, problem.column, problem.length) == (1, 1, len(key))
    assert problem.hint == (
        f"write at the top level:\n  gitorch: {{{key}: {written}}}\n"
        f"to keep it as a parameter, write '{key}: null' under 'gitorch'"
    )
    meant = load(f"{key}: {written}\ngitorch: {{{key}: null}}\n{TASKS}")
    assert meant.problems == ()
    assert meant.specs[0].params == {key: SHAPES[key]}


@pytest.mark.parametrize(
    "line",
    [
        "env: CartPole-v1",
        "priority: high",
        "cache: /tmp/cache",
        "resources: {wood: 3, iron: 4}",
        "matrix: [[1, 0], [0, 1]]",
        "environment: Pong",
        "version: 2",
        "timeout: null",
        "retries: 1.5",
        "steps: 20",
    ],
)
def test_a_value_of_another_shape_is_a_parameter(line: str) -> None:
    assert load(f"{line}\n{TASKS}").problems == ()


def test_the_line_to_write_holds_all_keys_that_belong_there() -> None:
    text = dedent("""\
        timeout: 1s
        gitorch: {matrix: {lr: [1, 2]}}
        tasks:
          - {id: a, command: x, retries: 2, link: [data]}
          - id: b
            command: x
            priority: 3
            gitorch:
              retries: 1
        """)
    hints = [
        problem.hint
        for problem in load(text).problems
        if problem.severity == "error"
    ]
    firsts = [(hint or "").rpartition("\n")[0] for hint in hints]
    assert firsts == [
        "write at the top level:\n  gitorch: {matrix: {lr: [1, 2]}, timeout: 1s}",
        "write in the task 'a':\n  gitorch: {retries: 2}",
        "write at the top level:\n  gitorch: {matrix: {lr: [1, 2]}, link: [data]}",
        "add to the keys under 'gitorch' (line 9):\n  priority: 3",
    ]


def test_a_line_that_is_too_long_is_not_shown() -> None:
    names = ", ".join(f"data{number}" for number in range(40))
    (problem,) = load(f"link: [{names}]\n{TASKS}").problems
    assert problem.hint is not None
    assert problem.hint.splitlines()[1] == "  gitorch: {link: …}"


def test_a_key_that_is_set_under_gitorch_too_is_a_parameter_outside() -> None:
    config = load("timeout: 5\ngitorch: {timeout: 2h}\n" + TASKS)
    assert config.problems == ()
    assert config.specs[0].params == {"timeout": 5}
    assert config.specs[0].tasks[0].timeout_s == 7200


def test_a_task_says_for_itself_which_keys_are_parameters() -> None:
    of_file = "gitorch: {timeout: 2h}\ntasks: [{id: a, command: x, timeout: 5}]"
    assert complaints(of_file).startswith(
        "2:29: error: 'timeout' belongs under 'gitorch'"
    )
    for settings in ("gitorch: {timeout: null}\n", ""):
        own = "" if settings else ", gitorch: {timeout: null}"
        config = load(f"{settings}tasks: [{{id: a, command: x, timeout: 5{own}}}]")
        assert config.problems == ()
        assert config.specs[0].tasks[0].params == {"timeout": 5}
        assert config.specs[0].tasks[0].timeout_s is None


def test_a_forgotten_value_is_not_null() -> None:
    assert complaints("gitorch: {link: , timeout: null}\n" + TASKS) == (
        "1:11: error: 'link' must be a list, not nothing"
    )


def test_gitorchs_keys_are_not_swept() -> None:
    text = dedent("""\
        gitorch:
          matrix: {timeout: [1s, 2s], tasks.train.priority: "range(3)", env: [a, b]}
          include: [{retries: 3}]
        """)
    assert complaints(text + TASKS) == (
        "2:12: error: 'timeout' is a key of 'gitorch' and cannot be swept\n"
        "  add to the keys under 'gitorch' (line 2):\n  timeout: 1s\n"
        "to keep it as a parameter, write 'timeout: null' under 'gitorch'\n"
        "2:31: error: 'tasks.train.priority' is a key of 'gitorch' and cannot be swept\n"
        "  write in the task 'train':\n  gitorch: {priority: 0}\n"
        "to keep it as a parameter, write 'priority: null' under 'gitorch'\n"
        "3:14: error: 'retries' is a key of 'gitorch' and cannot be swept\n"
        "  add to the keys under 'gitorch' (line 2):\n  retries: 3\n"
        "to keep it as a parameter, write 'retries: null' under 'gitorch'"
    )
    swept = load("gitorch: {timeout: null, matrix: {timeout: [1, 2]}}\n" + TASKS)
    assert [spec.params for spec in swept.specs] == [{"timeout": 1}, {"timeout": 2}]


def test_options_set_parameters_only() -> None:
    def with_options(text: str, *options: str) -> str:
        config = load_config(
            (text + TASKS).encode(),
            file="a.yaml",
            context=ConfigContext(),
            overrides=options,
        )
        return "\n".join(map(said, config.problems))

    assert with_options("", "timeout=1s", "seed=1") == (
        "1:1: error: 'timeout' belongs under 'gitorch'; here it would be a parameter\n"
        "  write at the top level:\n  gitorch: {timeout: 1s}\n"
        "to keep it as a parameter, write 'timeout: null' under 'gitorch'"
    )
    assert with_options("", "priority=1,2") == (
        "1:1: error: 'priority' is a key of 'gitorch' and cannot be swept\n"
        "  write at the top level:\n  gitorch: {priority: 1}\n"
        "to keep it as a parameter, write 'priority: null' under 'gitorch'"
    )
    assert with_options("gitorch: {timeout: null}\n", "timeout=1s,2s") == ""


def test_null_in_a_base_holds_for_the_files_that_extend_it(tmp_path: Path) -> None:
    (tmp_path / "_base.yaml").write_text("gitorch: {timeout: ~, retries: 2}\n")
    file = tmp_path / "some.yaml"
    text = f"gitorch: {{extends: _base.yaml, retries: null}}\ntimeout: 3\nretries: 4\n{TASKS}"
    config = load(text, file=str(file))
    assert config.problems == ()
    assert config.specs[0].params == {"timeout": 3, "retries": 4}
    assert config.specs[0].tasks[0].retries is None


@pytest.mark.parametrize(
    "value",
    [
        {"a b": "x: y", "n": None, "t": True, "f": 0.1, "s": "0.1", "e": ""},
        ["null", "1e5", "no", "x,y", "[a]", "*a", "~", "~/x", "- a", "a #b", "é"],
        "range(1, 3)",
        "1h30m",
    ],
)
def test_flow_text_is_read_as_the_same_value(value: Any) -> None:
    text = flow_text(value)
    assert parse_document(f"k: {text}".encode(), "").value == {"k": value}


def test_a_command_outside_of_tasks_is_shown_as_a_task() -> None:
    command = "command: python sim.py | tee log"
    task = '{id: train, command: "python sim.py | tee log"}'
    beside = f"""\
1:1: error: there are no 'tasks'
  list at least one:
  tasks:
    - {task}"""
    assert complaints(f"{command}\n") == beside
    below = f"""\
2:3: error: 'command' is a key of a task, not of 'gitorch'
  write it there:
  tasks:
    - {task}"""
    assert below in complaints(f"gitorch:\n  {command}\n")


def test_keys_of_tasks_and_of_the_file_do_not_belong_under_gitorch() -> None:
    text = """\
        tasks:
          - {id: train, gitorch: {method: Train}, command: "true"}
        gitorch:
          outputDir: results
        """
    assert complaints(text) == (
        """\
2:27: error: 'method' is a key of a task, not of 'gitorch'
  move it to the task itself, beside its 'id'
4:3: error: 'outputDir' is a key of the file, not of 'gitorch'
  move it to the top level"""
    )
