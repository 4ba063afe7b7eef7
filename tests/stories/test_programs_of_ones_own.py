"""Configs for programs that exist already: keys in the wrong place, and what a program is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from gitorch.config.schema import file_settings, task_settings
from tests.config.test_misplaced_keys import SHAPES
from tests.conftest import commit_files, git, gitorch, gitorch_json, write

# Writes its arguments, but `-o FILE`, into that file.
SHOW = """
import json, sys
arguments = sys.argv[1:]
file = arguments.pop().removeprefix("-o")
if arguments[-1:] == ["-o"]:
    arguments.pop()
json.dump(arguments, open(file, "w"))
"""


def test_a_timeout_outside_of_gitorch_is_refused_with_the_line_to_write(
    project: Path,
) -> None:
    config = "experiments/slow.yaml"
    write(
        project,
        config,
        """
        timeout: 1s
        tasks:
          - {id: wait, command: sleep 30}
        """,
    )
    refused = gitorch(project, "run", config, code=1)
    help_lines = "\n".join(
        [
            "error: 'timeout' belongs under 'gitorch'; here it would be a parameter",
            " --> experiments/slow.yaml:1:1",
            "  |",
            "1 | timeout: 1s",
            "  | ^^^^^^^",
            "  = help: write at the top level:",
            "      gitorch: {timeout: 1s}",
            "    to keep it as a parameter, write 'timeout: null' under 'gitorch'",
        ]
    )
    assert refused.stderr.startswith(help_lines)
    assert gitorch_json(project, "list")["runs"] == []

    tasks = "tasks:\n  - {id: wait, command: sleep 30}\n"
    write(project, config, f"gitorch: {{timeout: 1s}}\n{tasks}")
    gitorch(project, "run", config, code=1)
    (attempt,) = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert attempt["outcome"]["kind"] == "timeout"

    tasks = "tasks:\n  - {id: wait, command: 'test {timeout} = 1s'}\n"
    write(project, config, f"timeout: 1s\ngitorch: {{timeout: null}}\n{tasks}")
    gitorch(project, "run", config)
    gitorch(project, "run", config, "-S", "timeout=2s", code=1)
    assert gitorch_json(project, "show", "@")["run"]["params"] == {"timeout": "2s"}


def test_every_key_of_gitorch_is_refused_at_the_top_and_in_a_task(
    project: Path,
) -> None:
    keys = {key: SHAPES[key] for key in file_settings() if key != "steps"}
    task = {"id": "a", "command": "x"}
    for key in set(task_settings()) - {"steps"}:
        task[key] = SHAPES[key]
    write(project, "experiments/a.yaml", json.dumps({**keys, "tasks": [task]}))
    problems = gitorch_json(project, "check", code=1)["problems"]
    named = [problem["message"].split("'")[1] for problem in problems]
    assert sorted(named) == sorted([*keys, *(set(task) - {"id", "command"})])
    assert all("write '" in problem["hint"] for problem in problems)


def test_editors_accept_a_setting_that_is_null(project: Path) -> None:
    """`init` writes the schema. A value that cannot be meant is still an error."""
    gitorch(project, "init")
    text = (project / "experiments/.gitorch.schema.json").read_text()
    validator = Draft7Validator(json.loads(text))
    for key in file_settings():
        config = {key: 1, "tasks": [{"id": "a", "command": "x"}]}
        assert validator.is_valid({**config, "gitorch": {key: None}})
        assert not validator.is_valid({**config, "gitorch": {key: [[]]}})
    for key in task_settings():
        task = {"id": "a", "command": "x", key: 1, "gitorch": {key: None}}
        assert validator.is_valid({"tasks": [task]})


def test_parameters_as_arguments(project: Path) -> None:
    """Each word reaches the program as it is, in both forms of a command."""
    commit_files(project, {"show.py": SHOW})
    write(
        project,
        "experiments/flags.yaml",
        """
        learning_rate: 0.1
        amp: true
        ema: false
        note: "it's $HOME"
        none: null
        sizes: [64, 128]
        model: {depth: 3}
        gitorch: {flags: {bool: switch, dash: true}}
        tasks:
          - {id: text, command: "python3 show.py {flags} -o {output}/text.json | cat", epochs: 2}
          - id: words
            command: [python3, show.py, "{flags:amp,model.depth}", "-o{output}/words.json"]
            gitorch: {flags: {bool: python}}
          - {id: hydra, command: "python3 show.py {overrides:note,amp,none} -o {output}/hydra.json"}
          - {id: braces, command: "python3 show.py {{flags}} {{flags:a}} -o {output}/braces.json"}
        """,
    )
    gitorch(project, "run", "experiments/flags.yaml")

    def arguments(task: str) -> Any:
        name = f"{task}.json"
        run = gitorch_json(project, "show", "@")["run"]["id"]
        path = f"gitorch/results:runs/{run[:2]}/{run}/outputs/{name}"
        return json.loads(git(project, "show", path))

    assert arguments("text") == [
        *("--learning-rate", "0.1", "--amp", "--note", "it's $HOME"),
        *("--sizes", "64", "128", "--model.depth", "3", "--epochs", "2"),
    ]
    assert arguments("words") == ["--amp", "True", "--model.depth", "3"]
    assert arguments("hydra") == [r"note='it\'s $HOME'", "amp=true", "none=null"]
    assert arguments("braces") == ["{flags}", "{flags:a}"]


def test_check_names_what_is_wrong_with_flags(project: Path) -> None:
    write(
        project,
        "experiments/flags.yaml",
        """
        lr: 1
        tasks:
          - {id: a, command: "x '{flags}' --y={flags} {flags:} {overrides:lrr}"}
          - {id: b, command: ["{flags}", "--y={flags:lr}"]}
        """,
    )
    problems = gitorch_json(project, "check", code=1)["problems"]
    assert [
        (problem["line"], problem["column"], problem["message"])
        for problem in problems
    ] == [
        (3, 26, "{flags} stands where the shell takes quotes literally"),
        (3, 39, "{flags} stands for a list of words, and is part of one word"),
        (3, 47, "{flags:} names no parameter"),
        (3, 56, "there is no parameter 'lrr'"),
        (4, 24, "{flags} stands where the name of a program must be"),
        (4, 39, "{flags:lr} stands for a list of words, and is part of one word"),
    ]


def test_a_parameter_called_flags_is_named_by_its_placeholder(
    project: Path,
) -> None:
    write(
        project,
        "experiments/own.yaml",
        """
        flags: "-v -x"
        output: here
        tasks: [{id: a, command: "test {flags}/{output} = '-v -x/here'"}]
        """,
    )
    gitorch(project, "run", "experiments/own.yaml")


def test_the_cache_depends_on_the_parameters_that_flags_name(
    project: Path,
) -> None:
    write(
        project,
        "experiments/cached.yaml",
        """
        lr: 1
        seed: 1
        width: 1
        gitorch: {cache: {params: [seed], code: [README.md]}}
        tasks:
          - {id: some, command: "echo {flags:lr} > {output}/some.txt"}
          - {id: all, command: "echo {flags} > {output}/all.txt"}
        """,
    )

    def reused(*options: str) -> list[bool]:
        gitorch(project, "run", "experiments/cached.yaml", *options)
        tasks = gitorch_json(project, "show", "@")["run"]["tasks"]
        return [
            "from" in task["cache"] and bool(task["cache"]["from"])
            for task in tasks
        ]

    assert reused() == [False, False]
    assert reused("-S", "width=2") == [True, False]
    assert reused("-S", "lr=2") == [False, False]


def test_parameters_and_output_directory_reach_a_task_by_its_environment(
    project: Path,
) -> None:
    """The file has the parameters alone. The path of the output is the same in every run."""
    commit_files(
        project,
        {
            "Tasks.py": """
import os
class Note:
    def __init__(self, config): pass
    def run(self):
        with open(os.environ["GITORCH_OUTPUT"] + "/note.txt", "w") as file:
            file.write(open(os.environ["GITORCH_PARAMS"]).read())
"""
        },
    )
    write(
        project,
        "experiments/env.yaml",
        """
        lr: 0.1
        outputDir: env
        tasks:
          - {id: note, method: Note, epochs: 2}
          - {id: path, command: 'echo "$GITORCH_OUTPUT" {output} > {output}/path.txt'}
        """,
    )
    gitorch(project, "run", "experiments/env.yaml")
    run = gitorch_json(project, "show", "@")["run"]["id"]
    outputs = f"gitorch/results:runs/{run[:2]}/{run}/outputs"
    note = git(project, "show", f"{outputs}/note.txt")
    assert json.loads(note) == {"lr": 0.1, "epochs": 2}
    assert git(project, "show", f"{outputs}/path.txt") == "../output ../output"
    gitorch(project, "rerun", "@", "--verify")


def test_volatile_outputs_are_kept_but_not_compared(project: Path) -> None:
    config = "experiments/timed.yaml"
    text = """
        gitorch: {{cache: true, {}}}
        tasks:
          - id: train
            command: |
              date +%s%N > {{output}}/timing.csv; echo {{output}} > {{output}}/model.txt
              mkdir -p {{output}}/tb figures
              mktemp -u > {{output}}/tb/$RANDOM$RANDOM.out; mktemp -u > figures/a.svg
            gitorch: {{outputs: ["figures/*"]}}
          - {{id: report, command: "cat {{output}}/model.txt > {{output}}/report.txt"}}
        """
    write(project, config, text.format("volatile: [timing.csv, 'tb/*', figures]"))
    gitorch(project, "run", config)
    first = gitorch_json(project, "show", "@")["run"]
    marked = {}
    for output in first["outputs"]:
        marked[output["path"].split("/")[0]] = output.get("volatile", False)
    assert marked == {
        "timing.csv": True,
        "tb": True,
        "worktree": True,
        "model.txt": False,
        "report.txt": False,
    }
    assert "by train  volatile" in gitorch(project, "show", "@").stdout

    verified = gitorch(project, "rerun", "@", "--verify")
    screen = gitorch(project, "compare", "@~1", "@").stdout
    _, _, named = screen.splitlines()[-1].partition(
        "not compared, since volatile: "
    )
    assert {"timing.csv", "worktree/figures/a.svg"} < set(named.split(", "))
    config_alone = gitorch(project, "compare", "@~1", "@", "--config").stdout
    assert "volatile" not in config_alone
    assert "logs are the same (volatile, not compared: " in (verified.stderr)
    compared = gitorch_json(project, "compare", "@~1", "@")
    assert compared["outputs"]["same"]
    assert compared["outputs"]["compared"] == 2
    assert {"timing.csv", "worktree/figures/a.svg"} < set(
        compared["outputs"]["volatile"]
    )

    # Which outputs are volatile does not change what is computed.
    write(project, config, text.format("volatile: [nothing]"))
    skipped = gitorch_json(project, "ready", config)
    assert skipped["queued"] == []
    gitorch(project, "ready", config, "--again")
    gitorch(project, "run")
    reused = gitorch_json(project, "show", "@")["run"]
    assert reused["tasks"][0]["cache"]["from"]
    assert not any("volatile" in output for output in reused["outputs"])


def test_parameters_are_laid_over_a_committed_file(project: Path) -> None:
    """Each attempt begins with the committed file. The record lists what the task changed."""
    committed = "lr: 0.5\nother: {keep: no}\n"
    commit_files(project, {"params.yaml": committed})
    config = "experiments/file.yaml"
    write(
        project,
        config,
        """
        lr: 0.1
        gitorch: {paramsFile: params.yaml, retries: 1}
        tasks:
          - {id: first, command: "cat params.yaml > {output}/first.yaml", seed: 1}
          - id: second
            command: cat params.yaml >> {output}/second.yaml; test $GITORCH_ATTEMPT = 2
          - {id: third, command: "echo x >> params.yaml"}
        """,
    )
    gitorch(project, "run", config, code=None)
    run = gitorch_json(project, "show", "@")["run"]

    def output(name: str) -> str:
        path = f"runs/{run['id'][:2]}/{run['id']}/outputs/{name}"
        return git(project, "show", f"gitorch/results:{path}")

    assert output("first.yaml") == "lr: 0.1\nother: {keep: no}\nseed: 1"
    assert output("second.yaml") == ("lr: 0.1\nother: {keep: no}\n" * 2).strip()
    modified = [task["attempts"][-1]["modified"] for task in run["tasks"]]
    assert modified == [[], [], ["params.yaml"]]
    assert (project / "params.yaml").read_text() == committed


def test_check_names_a_params_file_that_cannot_be_used(project: Path) -> None:
    commit_files(project, {"params.yaml": "- 1\n"})

    def complaint(settings: str, tasks: str = "[{id: a, command: x}]") -> str:
        write(
            project,
            "experiments/some.yaml",
            f"gitorch: {{paramsFile: {settings}}}\ntasks: {tasks}\n",
        )
        (problem,) = gitorch_json(project, "check", code=1)["problems"]
        return f"{problem['line']}:{problem['column']} {problem['message']}"

    assert complaint("params.yaml") == (
        "1:23 params.yaml: it is a list, not a mapping"
    )
    assert "does not contain other.json" in complaint("other.json")
    assert complaint("params.toml") == (
        "1:23 'params.toml' is not the path of a YAML or JSON file"
    )
    commit_files(project, {"params.yaml": "a: 1\n"})
    beside = "[{id: a, command: x, lr: 1}, {id: b, command: x, needs: []}]"
    assert complaint("params.yaml", beside) == (
        "1:23 the tasks 'a' and 'b' have different parameters, "
        "and may run at the same time with one params.yaml"
    )


def test_a_comparison_of_volatile_outputs_alone_says_that_it_compared_none(
    project: Path,
) -> None:
    text = "gitorch: {volatile: ['*']}\ntasks: [{id: a, command: 'mktemp -u > {output}/a'}]\n"
    write(project, "experiments/a.yaml", text)
    gitorch(project, "run", "experiments")
    gitorch(project, "rerun", "a")
    outputs = gitorch_json(project, "compare", "@~1", "@")["outputs"]
    assert outputs["compared"] == 0
    assert outputs["volatile"] == ["a"]
    lines = gitorch(project, "compare", "@~1", "@").stdout.splitlines()
    assert lines[-1] == "not compared, since volatile: a"
    assert not any(
        line.startswith("the same:") and "outputs" in line for line in lines
    )
