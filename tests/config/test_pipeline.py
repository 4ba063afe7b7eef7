"""Configs: what they ask for, and all that can be wrong with one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gitorch.config.discovery import find_configs, is_config
from gitorch.config.pipeline import ConfigContext, load_config
from gitorch.errors import NotFound
from gitorch.model.problem import Severity
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.model.run.spec import Resources, Retries, RunSpec, TaskSpec, task_config
from tests.config.complaints import TASKS, complaints, load, marked

FULL = """\
githubRepository: git@github.com:owner/penguins.git
pathToTasks: ./demo/
outputDir: penguins/{date}/{model.depth}
overwriteOutputFine: true
UNSAFE_ignoreDirtyCheck: true
learningRate: 1e-3
model: {depth: 3}
gitorch:
  version: 1
  name: Adélie
  link: [data, models/pretrained/]
  env: {OMP_NUM_THREADS: 1, DEBUG: true, MODE: fast, RATE: 0.5}
  python: .venv/bin/python
  outputs: ["figures/*.png"]
  metrics: [scores.json]
  timeout: 1h30m
  retries: 2
  priority: -1
  resources: {cpus: 2, memory: 8G}
tasks:
  - {id: prepare, method: Prepare}
  - {id: train, method: Train, epochs: 20, gitorch: {outputs: [], metrics: [loss.json], resources: {gpus: 1}}}
  - {id: Plot.1, command: "plot {outputDir}/x --depth {model.depth} --lr {learningRate}", needs: []}
  - {id: report, command: [report, "{id}", "{outputDir}"], needs: [train, Plot.1]}
  - id: clean
    command: rm
    gitorch: {timeout: 90, retries: {max: 3, on: [timeout, signal], backoff: 30s}, priority: 5, metrics: []}
  - {id: long, command: sleep 9d, gitorch: {timeout: none}}
"""


def test_everything_a_config_can_say() -> None:
    config = load(FULL, origin="https://github.com/owner/penguins")
    assert config.problems == ()
    assert config.source == FULL.encode()
    plot = "plot {outputDir}/x --depth {model.depth} --lr {learningRate}"
    eight = Resources(cpus=2.0, memory_bytes=8 << 30)
    scheduling: dict[str, Any] = {
        "timeout_s": 5400.0,
        "retries": Retries(max=2),
        "priority": -1,
        "resources": eight,
    }
    of_file: dict[str, Any] = {
        "outputs": ("figures/*.png",),
        "metrics": ("scores.json",),
        **scheduling,
    }
    assert config.specs == (
        RunSpec(
            name="Adélie",
            document={
                "githubRepository": "git@github.com:owner/penguins.git",
                "pathToTasks": "demo",
                "outputDir": "penguins/{date}/{model.depth}",
                "overwriteOutputFine": True,
                "UNSAFE_ignoreDirtyCheck": True,
                "learningRate": 0.001,
                "model": {"depth": 3},
                "tasks": [
                    {"id": "prepare", "method": "Prepare"},
                    {"id": "train", "method": "Train", "epochs": 20},
                    {"id": "Plot.1", "command": plot, "needs": []},
                    {
                        "id": "report",
                        "command": ["report", "{id}", "{outputDir}"],
                        "needs": ["train", "Plot.1"],
                    },
                    {"id": "clean", "command": "rm"},
                    {"id": "long", "command": "sleep 9d"},
                ],
            },
            tasks=(
                TaskSpec(id="prepare", method="Prepare", **of_file),
                TaskSpec(
                    id="train",
                    method="Train",
                    needs=("prepare",),
                    params={"epochs": 20},
                    metrics=("loss.json",),
                    **{**scheduling, "resources": Resources(gpus=1)},
                ),
                TaskSpec(id="Plot.1", command=plot, **of_file),
                TaskSpec(
                    id="report",
                    command=("report", "{id}", "{outputDir}"),
                    needs=("train", "Plot.1"),
                    **of_file,
                ),
                TaskSpec(
                    id="clean",
                    command="rm",
                    needs=("report",),
                    outputs=of_file["outputs"],
                    timeout_s=90.0,
                    retries=Retries(
                        max=3, on=(OutcomeKind.SIGNAL, OutcomeKind.TIMEOUT), backoff_s=30.0
                    ),
                    priority=5,
                    resources=eight,
                ),
                TaskSpec(
                    id="long",
                    command="sleep 9d",
                    needs=("clean",),
                    **{**of_file, "timeout_s": None},
                ),
            ),
            path_to_tasks="demo",
            output_dir="penguins/{date}/{model.depth}",
            link=("data", "models/pretrained"),
            env={"OMP_NUM_THREADS": "1", "DEBUG": "true", "MODE": "fast", "RATE": "0.5"},
            python=".venv/bin/python",
        ),
    )


def test_the_minimal_file_of_four_keys() -> None:
    text = "githubRepository: https://github.com/o/r\npathToTasks: .\noutputDir: out\n" + TASKS
    assert complaints(text) == (
        "1:19: note: not checked: this repository has no remote to compare with github.com/o/r"
    )
    (spec,) = load(text).specs
    assert (spec.name, spec.params, spec.output_dir) == ("penguins", {}, "out")
    assert spec.tasks == (TaskSpec(id="train", method="Train"),)


def test_only_tasks_is_required() -> None:
    assert complaints(TASKS) == ""
    assert (
        complaints("# nothing\n")
        == "1:1: error: the config is empty\n  write keys and values, 'tasks' among them"
    )
    assert complaints("- a\n").startswith("1:1: error: a config must be a mapping, not a list\n")
    assert complaints("just words\n").startswith(
        "1:1: error: a config must be a mapping, not text\n"
    )
    assert complaints("a: 1\n") == (
        "1:1: error: there are no 'tasks'\n  list at least one:\n  tasks:\n    - {id: train, method: Train}"
    )


def test_everything_that_is_wrong_is_said_at_once_and_in_order() -> None:
    text = """\
        githubRepository: https://github.com/other/penguins
        pathToTasks: ../demo
        outputDir: {date}
        learningRate: .inf
        UNSAFE_ignoreDirtyCheck: yes
        gitorch:
          version: 2
          matrix: {seed: [1, 2], tasks: [a]}
          liink: []
          env: {"1X": 1, B: [1], GITORCH_RUN_ID: 3}
          link: [data, data/x, .., 3]
          name: cafe
        tasks:
          - {id: prepare, mehtod: Prepare}
          - {id: 3, method: Train, command: x, outputDir: 3}
          - {id: report, command: "sort {outputdir}/scores", needs: [prepar]}
          - 5
          - {}
          - {id: Report, command: [1, ""], gitorch: {python: x, timeout: 3w, cache: 1}}
          - id: last
            command: x
            gitorch:
              retries: {Max: 1, on: [time-out, lost], backoff: [3]}
              priority: 0.5
              resources: {cpu: 1, gpus: -1, memory: 8}
        """
    origin = "https://me:secret@github.com/owner/penguins.git"
    assert complaints(text, origin=origin) == (
        """\
1:19: error: github.com/other/penguins is none of this repository's remotes
  its remotes: origin (github.com/owner/penguins)
2:14: error: '../demo' leads outside by '..'
  write it relative to the repository's root
3:12: error: 'outputDir' must be text, not a mapping
  quote it: "{date}"
4:15: error: '.inf' cannot be recorded: records are JSON, which has no infinity and no NaN
  quote it to pass text: ".inf"
5:26: error: 'UNSAFE_ignoreDirtyCheck' must be true or false, not text
  in YAML 1.2 'yes' is text: write true
7:12: error: 'version' must be 1
8:26: error: 'tasks' is not a parameter: 'tasks' is gitorch's own
  change it in the file
9:3: error: unknown key 'liink' under 'gitorch', did you mean 'link'?
  known here: version, name, extends, matrix, zip, exclude, include, code, link, env, python, inputs, outputs, \
discard, metrics, timeout, retries, priority, resources, cache; \
parameters belong outside of 'gitorch'
10:9: error: '1X' is not the name of a variable: it must consist of letters, digits and '_'
10:21: error: 'B' must be text, a number or true or false, not a list
10:26: error: GITORCH_RUN_ID is set by gitorch itself
  choose another name
11:16: error: 'data/x' lies in 'data', which is linked too
  remove it
11:24: error: '..' leads outside by '..'
  name a path that is relative to the repository's root
11:28: error: 'link[3]' must be text, not a number
  quote it: "3"
12:9: error: the name 'cafe' could be the beginning of a run's id
  give it another
14:19: error: unknown key 'mehtod', did you mean 'method'?
15:10: error: 'id' must be text, not a number
  quote it: "3"
15:28: error: a task has either 'method' or 'command', not both
  remove one, or make them two tasks
15:40: error: 'outputDir' is a key of the file, not of a task
  move it to the top level
16:33: error: there is no parameter 'outputdir', did you mean 'outputDir'?
  to mean braces, put blanks in them: { outputdir }
17:5: error: 'tasks[3]' must be a mapping of keys to values, not a number
18:5: error: the task has no 'id'
  give it one, unique in this file
18:5: error: the task does nothing
  give it a 'method' (a class in Tasks.py) or a 'command'
19:10: error: the id 'report' is taken by an earlier task
  ids are unique, upper and lower case alike: rename one
19:28: error: 'command[0]' must be text, not a number
  quote it: "1"
19:46: error: 'python' is a setting of the whole file
  move it to the 'gitorch' key at the top level
19:66: error: '3w' is not a length of time
  write it like 90s, 30m, 1h30m or 2d, or as a number of seconds
19:77: error: 'cache' must be true or false or a mapping of keys to values, not a number
  write 'cache: true', or what the results depend on: 'cache: {params: [seed], code: [Tasks.py]}'
23:17: error: unknown key 'Max' under 'retries', did you mean 'max'?
  known here: max, on, backoff
23:30: error: 'on[0]' cannot be 'time-out', did you mean 'timeout'?
  known here: exit-code, signal, timeout, out-of-memory
23:40: error: 'on[1]' cannot be 'lost'
  known here: exit-code, signal, timeout, out-of-memory
23:56: error: 'backoff' must be text or a number, not a list
  write it like 90s, 30m, 1h30m or 2d, or as a number of seconds
24:17: error: 'priority' must be a whole number, not 0.5
25:19: error: unknown key 'cpu' under 'resources', did you mean 'cpus'?
  known here: cpus, gpus, memory
25:33: error: 'gpus' must be at least 0
25:45: error: '8' has no unit
  write it with its unit, like 500MB, 8GiB or 8G"""
    )
    assert load(text).specs == ()


# Keys


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("pathToTask", "pathToTasks"),
        ("output_dir", "outputDir"),
        ("OutputDir", "outputDir"),
        ("gitOrch", "gitorch"),
    ],
)
def test_a_parameter_that_nearly_is_a_key_is_a_warning(key: str, meant: str) -> None:
    config = load(f"{key}: x\n{TASKS}")
    (problem,) = config.problems
    assert problem.severity is Severity.WARNING
    assert problem.message == f"'{key}' is taken for a parameter, did you mean '{meant}'?"
    assert config.specs[0].params == {key: "x"}


def test_a_near_miss_of_a_key_that_is_missing_is_an_error() -> None:
    assert complaints("task: []\n") == "1:1: error: unknown key 'task', did you mean 'tasks'?"
    assert complaints("tasks: [{ID: a, comand: b}]") == (
        "1:10: error: unknown key 'ID', did you mean 'id'?\n1:17: error: unknown key 'comand', did you mean 'command'?"
    )
    assert complaints("tasks: [{id: a, method: A, comand: b}]") == (
        "1:28: warning: 'comand' is taken for a parameter, did you mean 'command'?"
    )


@pytest.mark.parametrize(
    "key", ["epochs", "model", "idx", "dataset", "mode", "outputs", "name", "python", "comment"]
)
def test_a_parameter_may_have_any_other_name(key: str) -> None:
    config = load(f"{key}: 1\ntasks: [{{id: train, method: Train, {key}: 2}}]")
    assert config.problems == ()
    assert task_config(config.specs[0], config.specs[0].tasks[0], "/out")[key] == 2


# Scheduling


@pytest.mark.parametrize(
    ("setting", "marked_as", "message"),
    [
        ("timeout: 0", "0", "'timeout' must be more than 0"),
        ("timeout: 0s", "0s", "'timeout' must be more than 0"),
        ("timeout: -1", "-1", "'-1' is negative"),
        ("timeout: 1:30", "1:30", "'1:30' is not a length of time"),
        ("timeout: 4000d", "4000d", "'4000d' is longer than ten years"),
        ("timeout: true", "true", "'timeout' must be text or a number, not true or false"),
        ("timeout:", "timeout", "'timeout' must be text or a number, not nothing"),
        ("retries: -1", "-1", "'retries' must be at least 0"),
        ("retries: 1e9", "1e9", "'retries' must be at most 1000000"),
        (
            "retries: 1.5",
            "1.5",
            "'retries' must be a whole number or a mapping of keys to values, not 1.5",
        ),
        (
            "retries: yes",
            "yes",
            "'retries' must be a whole number or a mapping of keys to values, not text",
        ),
        ("retries: {}", "{}", "'retries' has no 'max'"),
        ("retries: {on: [signal]}", "{on: [signal]}", "'retries' has no 'max'"),
        ("retries: {MAX: 1}", "MAX", "unknown key 'MAX' under 'retries', did you mean 'max'?"),
        ("retries: {max: 1, delay: 3}", "delay", "unknown key 'delay' under 'retries'"),
        ("retries: {max: 1, timeout: 3}", "timeout", "unknown key 'timeout' under 'retries'"),
        ("retries: {max: -1}", "-1", "'max' must be at least 0"),
        ("retries: {max: 1, on: timeout}", "timeout", "'on' must be a list, not text"),
        ("retries: {max: 1, on: []}", "[]", "'on' must not be empty"),
        (
            "retries: {max: 1, on: [signal, signal]}",
            "[signal, signal]",
            "'on' names something twice",
        ),
        (
            "retries: {max: 1, on: [Timeout]}",
            "Timeout",
            "'on[0]' cannot be 'Timeout', did you mean 'timeout'?",
        ),
        ("retries: {max: 1, on: [lost]}", "lost", "'on[0]' cannot be 'lost'"),
        ("retries: {max: 1, on: [137]}", "137", "'on[0]' must be text, not a number"),
        ("retries: {max: 1, backoff: -1s}", "-1s", "'-1s' is not a length of time"),
        ("priority: high", "high", "'priority' must be a whole number, not text"),
        ("priority: 1.5", "1.5", "'priority' must be a whole number, not 1.5"),
        ("priority: -1000001", "-1000001", "'priority' must be at least -1000000"),
        ("resources: 4", "4", "'resources' must be a mapping of keys to values, not a number"),
        ("resources: {cpu: 4}", "cpu", "unknown key 'cpu' under 'resources', did you mean 'cpus'?"),
        ("resources: {name: 4}", "name", "unknown key 'name' under 'resources'"),
        ("resources: {cpus: -0.5}", "-0.5", "'cpus' must be at least 0"),
        ("resources: {cpus: all}", "all", "'cpus' must be a number, not text"),
        ("resources: {gpus: 0.5}", "0.5", "'gpus' must be a whole number, not 0.5"),
        ("resources: {memory: 8}", "8", "'8' has no unit"),
        ("resources: {memory: 8GO}", "8GO", "'8GO' is not an amount of memory"),
        ("resources: {memory: -8G}", "-8G", "'-8G' is not an amount of memory"),
        ("resources: {memory: [8G]}", "[8G]", "'memory' must be text or a number, not a list"),
        ("resources: {memory: 9999999TiB}", "9999999TiB", "'9999999TiB' is too much memory"),
    ],
)
@pytest.mark.parametrize("place", ["file", "task"])
def test_what_no_task_could_be_scheduled_by_is_refused(
    setting: str, marked_as: str, message: str, place: str
) -> None:
    texts = {
        "file": f"gitorch:\n  {setting}\n{TASKS}",
        "task": f"tasks:\n  - id: a\n    method: A\n    gitorch:\n      {setting}\n",
    }
    (problem,) = load(texts[place]).problems
    assert (problem.message, marked(problem)) == (message, marked_as)
    assert problem.line == (2 if place == "file" else 5)


def test_how_it_is_written_is_the_hint() -> None:
    assert complaints(
        f"gitorch: {{timeout: 2 hours, resources: {{memory: 8}}, retries: often}}\n{TASKS}"
    ) == (
        """\
1:20: error: '2 hours' is not a length of time
  write it like 90s, 30m, 1h30m or 2d, or as a number of seconds
1:49: error: '8' has no unit
  write it with its unit, like 500MB, 8GiB or 8G
1:62: error: 'retries' must be a whole number or a mapping of keys to values, not text
  write how many at most, 'retries: 2', or 'retries: {max: 2, on: [timeout], backoff: 30s}'"""
    )


def test_a_default_that_every_task_overrides_is_checked_too() -> None:
    text = "gitorch: {timeout: soon}\ntasks: [{id: a, method: A, gitorch: {timeout: 1}}]"
    assert complaints(text).startswith("1:20: error: 'soon' is not a length of time\n")


def test_a_tasks_own_setting_wins_as_a_whole() -> None:
    text = """\
        gitorch: {retries: {max: 5, on: [timeout], backoff: 1m}, resources: {cpus: 4, memory: 1G}, priority: 7}
        tasks:
          - {id: a, method: A, gitorch: {retries: 0, resources: {}, priority: 0}}
          - {id: b, method: B, gitorch: {retries: {max: 1.0}, timeout: 0.5}}
        """
    (spec,) = load(text).specs
    assert [task.retries for task in spec.tasks] == [Retries(max=0), Retries(max=1)]
    assert [task.resources for task in spec.tasks] == [
        Resources(),
        Resources(cpus=4.0, memory_bytes=1 << 30),
    ]
    assert [(task.priority, task.timeout_s) for task in spec.tasks] == [(0, None), (7, 0.5)]


# githubRepository


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/Owner/penguins",
        "https://GitHub.com/owner/penguins.git/",
        "https://me:token@github.com:443/owner/penguins.git",
        "git@github.com:owner/penguins.git",
        "ssh://git@github.com:22/owner/penguins.git",
        "git://github.com/owner/penguins",
    ],
)
def test_a_repository_is_the_same_however_its_address_is_written(remote: str) -> None:
    text = f"githubRepository: https://github.com/owner/penguins\n{TASKS}"
    assert complaints(text, upstream="https://example.org/x", origin=remote) == ""


@pytest.mark.parametrize(
    "written", ["penguins", "owner/penguins", "https://", "not an address", "git@github.com:"]
)
def test_what_is_no_address_is_refused(written: str) -> None:
    assert complaints(f'githubRepository: "{written}"\n{TASKS}').startswith("1:19: error: ")


# Places


@pytest.mark.parametrize("key", ["pathToTasks", "outputDir"])
@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("..", "leads outside by '..'"),
        ("demo/../..", "leads outside by '..'"),
        ("/", "is outside the repository"),
        ("/etc", "is outside the repository"),
        ("~/demo", "starts in your home directory"),
        (".git/hooks", "is git's own directory"),
        ("out/there", "is a symbolic link that leads out of the repository"),
        ("loop/x", "is a symbolic link that leads out of the repository"),
        ("a\\0b", "holds a NUL character, which no path can"),
        ("/a\\0b", "is outside the repository"),
    ],
)
def test_a_place_stays_inside_the_repository(
    key: str, written: str, why: str, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    shown = written.replace("\\0", "\0")
    (complaint, _) = complaints(f'{key}: "{written}"\n{TASKS}', root=root).split("\n")
    assert complaint == f"1:{len(key) + 3}: error: '{shown}' {why}"


@pytest.mark.parametrize("key", ["pathToTasks", "outputDir"])
def test_an_absolute_place_inside_the_repository_is_made_relative(key: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    for written in (root, tmp_path / "link"):
        for known in (root, tmp_path / "link"):
            (spec,) = load(f"{key}: {written}/a\n{TASKS}", root=known).specs
            assert spec.document[key] == "a"


def test_path_to_tasks_is_a_directory() -> None:
    assert complaints(f"pathToTasks: demo/Tasks.py\n{TASKS}") == (
        "1:14: error: 'pathToTasks' must be a directory\n  write demo"
    )


def test_a_parameter_does_not_lead_the_output_outside() -> None:
    text = f"outputDir: 'out/{{data}}'\ndata: ../../x\n{TASKS}"
    assert complaints(text).startswith(
        "1:12: error: filled in, 'outputDir' is 'out/../../x', which leads outside"
    )
    assert complaints(f"outputDir: '{{data}}'\ndata: /x\n{TASKS}").startswith(
        "1:12: error: filled in, "
    )


def test_an_output_directory_is_named_after_what_is_known() -> None:
    assert (
        complaints(f'outputDir: "{{date}}/{{time}}/{{id}}/{{name}}/{{lr}}"\nlr: 1\n{TASKS}') == ""
    )
    assert complaints(f'outputDir: "{{dat}}"\n{TASKS}') == (
        "1:13: error: there is no parameter 'dat', did you mean 'date'?\n  to mean braces, put blanks in them: { dat }"
    )


@pytest.mark.parametrize("setting", ["outputs", "metrics", "link"])
@pytest.mark.parametrize("place", ["/x", "../x", "a/../../b", "~/x", ".git/config"])
def test_listed_places_are_relative(setting: str, place: str) -> None:
    assert f"1:{14 + len(setting)}: error: '{place}' " in complaints(
        f"gitorch: {{{setting}: ['{place}']}}\n{TASKS}"
    )


@pytest.mark.parametrize(
    "setting", ["inputs", "outputs", "discard", "code", "cache: {code", "cache: {inputs"]
)
def test_a_glob_that_is_none_is_complained_of(setting: str) -> None:
    text = f"gitorch: {{{setting}: ['data/[z-a].csv']}}{'}' if '{' in setting else ''}\n{TASKS}"
    said = "'data/[z-a].csv' is not a glob: bad character range z-a\n  a [ that stands for itself is written [[]"
    assert complaints(text) == f"1:{14 + len(setting)}: error: {said}"


@pytest.mark.parametrize("place", ["../x", "a/../../b", ".git/config", "/data/a\\0b"])
def test_inputs_lie_in_the_repository_or_are_absolute(place: str) -> None:
    assert "1:20: error: " in complaints(f'gitorch: {{inputs: ["{place}"]}}\n{TASKS}')
    assert complaints(f"gitorch: {{inputs: [/data/x, ~/data/*.csv, ./data//y]}}\n{TASKS}") == ""


def test_what_is_linked_is_linked_once() -> None:
    text = f"gitorch: {{link: [data/x, data, models, models/, .]}}\n{TASKS}"
    assert [problem.message for problem in load(text).problems] == [
        "'data/x' lies in 'data', which is linked too",
        "'models' is linked twice",
        "'.' would link the whole repository",
    ]


def test_the_sound_ones_among_misshapen_places_are_looked_at_too() -> None:
    text = "tasks: [{id: a, method: A, gitorch: {outputs: [3, ../x]}}]"
    assert [problem.column for problem in load(text).problems] == [48, 51]


def test_a_default_is_complained_of_once() -> None:
    text = "gitorch: {outputs: [/x]}\ntasks: [{id: a, method: A}, {id: b, method: B}]"
    assert complaints(text).count("error") == 1


# Names


@pytest.mark.parametrize(
    "name", ["cafe", "2024", "0123456789ab", "-x", "@x", ".x", "a/b", "a\tb", " ", "x" * 101, "‮x"]
)
def test_a_name_that_could_not_be_used_is_refused(name: str) -> None:
    config = load(f'gitorch: {{name: "{name}"}}\n{TASKS}')
    assert config.specs == ()
    assert [(problem.line, problem.column) for problem in config.problems] == [(1, 17)]


@pytest.mark.parametrize(
    "name", ["caf", "0123456789abc", "CAFE", "a-b", "größe 2", "x" * 100, "cafe_1"]
)
def test_other_names_are_fine(name: str) -> None:
    assert load(f'gitorch: {{name: "{name}"}}\n{TASKS}').specs[0].name == name


def test_the_name_comes_from_the_file_else() -> None:
    assert load(TASKS, file="deep/er/a.b.yaml").specs[0].name == "a.b"
    assert complaints(TASKS, file="deep/2024.yaml") == (
        "1:1: error: the name '2024' could be the beginning of a run's id\n  name it:\n  gitorch: {name: …}"
    )
    undecodable = os.fsdecode(b"caf\xe9x.yaml")
    assert load(TASKS, file=undecodable).specs == ()


@pytest.mark.parametrize("task", [".", "..", ".GIT", "a b", "a/b", "", "ä", "a\\n", "x" * 101])
def test_an_id_that_could_not_be_used_is_refused(task: str) -> None:
    config = load(f'tasks: [{{id: "{task}", method: A}}]')
    assert [(problem.line, problem.column) for problem in config.problems] == [(1, 14)]


@pytest.mark.parametrize("method", ["", "my.Train", "Train()", "train it", "class", "1A"])
def test_a_method_is_the_name_of_a_class(method: str) -> None:
    assert complaints(f'tasks: [{{id: a, method: "{method}"}}]') == (
        f"1:25: error: '{method}' is not the name of a class\n  to run a program, write it as 'command'"
    )


# Environment


@pytest.mark.parametrize(
    ("settings", "column", "message"),
    [
        ('env: {A: "x\\0"}', 20, "A holds a NUL character, which no environment can"),
        ("env: {GITORCH_TOKEN: x}", 17, "GITORCH_TOKEN is set by gitorch itself"),
        (
            'env: {"": x}',
            17,
            "'' is not the name of a variable: it must consist of letters, digits and '_'",
        ),
        (
            'env: {"A\\n": x}',
            17,
            "'A\n' is not the name of a variable: it must consist of letters, digits and '_'",
        ),
        ("env: {A: null}", 20, "'A' must be text, a number or true or false, not nothing"),
        ('python: "x\\0"', 19, "'python' holds a NUL character, which no path can"),
        ("python: 3.11", 19, "'python' must be text, not a number"),
    ],
)
def test_what_no_process_could_be_given_is_refused(
    settings: str, column: int, message: str
) -> None:
    (problem,) = load(f"gitorch: {{{settings}}}\n{TASKS}").problems
    assert (problem.message, problem.column) == (message, column)


# Order


def needs(*tasks: str) -> str:
    return "tasks:\n" + "".join(f"  - {{{task}, command: x}}\n" for task in tasks)


def test_a_task_needs_the_one_before_it_unless_it_says() -> None:
    (spec,) = load(needs("id: a", "id: b", "id: c, needs: [a]", "id: d, needs: []", "id: e")).specs
    assert [task.needs for task in spec.tasks] == [(), ("a",), ("a",), (), ("d",)]


def test_a_task_may_need_a_later_one() -> None:
    (spec,) = load(needs("id: a, needs: [b]", "id: b, needs: []")).specs
    assert [task.needs for task in spec.tasks] == [("b",), ()]


@pytest.mark.parametrize(
    ("tasks", "place", "circle"),
    [
        (("id: a, needs: [a]",), "2:20", "a needs a"),
        (("id: a, needs: [b]", "id: b"), "2:20", "a needs b, b needs a"),
        (("id: x", "id: a, needs: [c]", "id: b", "id: c"), "3:20", "c needs b, b needs a"),
    ],
)
def test_a_circle_is_refused(tasks: tuple[str, ...], place: str, circle: str) -> None:
    (complaint, hint) = complaints(needs(*tasks)).split("\n")
    assert complaint.startswith(f"{place}: error: the tasks wait for each other: ")
    assert set(circle.split(", ")) <= set(complaint.split(": ")[-1].split(", "))
    assert "'needs: []' needs none" in hint


def test_a_task_that_is_not_there_cannot_be_needed() -> None:
    assert complaints(needs("id: prepare", "id: b, needs: [prepar, prepare]")) == (
        "3:21: error: there is no task 'prepar', did you mean 'prepare'?\n  the tasks are: prepare, b"
    )


# Commands


def test_a_placeholder_is_complained_of_where_it_stands() -> None:
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
    assert [(problem.line, problem.column, marked(problem)) for problem in problems] == [
        (6, 12, "{lerningRate}"),
        (7, 27, "{x}"),
        (8, 32, "{y}"),
    ]
    assert (
        problems[0].message == "there is no parameter 'lerningRate', did you mean 'learningRate'?"
    )


@pytest.mark.parametrize("command", ["'{lr}'", 'x "{lr}"', 'x "$(y "{lr}")"'])
def test_a_placeholder_inside_quotes_is_refused(command: str) -> None:
    (problem,) = load(f"lr: 1\ntasks:\n  - id: a\n    command: |\n      {command}\n").problems
    assert problem.message == "{lr} stands where the shell takes quotes literally"
    assert (problem.line, marked(problem)) == (5, "{lr}")


def test_other_braces_are_left_alone() -> None:
    assert complaints("tasks: [{id: a, command: 'awk ''{print $1}'' ${HOME} {} {a,b}'}]") == ""


@pytest.mark.parametrize(
    "command",
    ['""', '" "', "[]", '[""]', "null", "3", "{a: b}", "[a, [b]]", r'"a\0"', r'[a, "\0"]'],
)
def test_a_command_that_could_not_be_run_is_refused(command: str) -> None:
    config = load(f"tasks: [{{id: a, command: {command}}}]")
    assert len(config.problems) == 1
    assert config.problems[0].severity is Severity.ERROR


def test_a_value_that_no_command_can_hold_is_refused() -> None:
    assert "filled in, 'command' holds a NUL character" in complaints(
        'x: "\\0"\ntasks: [{id: a, command: "echo {x}"}]'
    )
    assert complaints('x: "\\0"\ntasks: [{id: a, method: A}]') == ""


def test_a_placeholder_written_with_escapes_is_complained_of_with_its_text() -> None:
    (problem,) = load(r'tasks: [{id: a, command: "x \x7by}"}]').problems
    assert marked(problem) == r'"x \x7by}"'


def test_of_many_placeholders_the_first_are_complained_of() -> None:
    assert len(load("tasks: [{id: a, command: '" + "{x} " * 100 + "'}]").problems) == 20


# Others


def test_problems_found_later_have_their_place() -> None:
    config = load(FULL)
    problem = config.problem(
        ("tasks", 1, "method"), "there is no class 'Train'", "did you commit it?"
    )
    assert (problem.file, problem.line, problem.column) == ("experiments/penguins.yaml", 22, 25)
    assert marked(problem) == "Train"
    assert marked(config.problem(("tasks", 1, "epochs"), "too many", key=True)) == "epochs"


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (TASKS.encode(), True),
        (b"tasks:\n", True),
        (b'{"tasks": 1}', True),
        (b"tasks: []\ntasks: []\n1: 2\n", True),
        (b"task: []\n", False),
        (b"- tasks\n", False),
        (b"a: {tasks: []}\n", False),
        (b"tasks", False),
        (b"tasks: [\n", False),
        (b"tasks: \xff", False),
        (b"tasks: " + b"[" * 500_000, False),
        (b"", False),
    ],
)
def test_a_config_is_a_mapping_with_tasks(data: bytes, is_one: bool) -> None:
    assert is_config(data) is is_one


def test_configs_are_found_below_a_directory(tmp_path: Path) -> None:
    for name in (
        "b.yaml",
        "a/z.yml",
        "a/_base.yaml",
        "_a/x.yaml",
        ".a/x.yaml",
        ".x.yaml",
        "a/x.txt",
        "c.yaml/d.yaml",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TASKS)
    (tmp_path / "broken.yaml").symlink_to("nowhere")
    found = find_configs(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "a/z.yml",
        "b.yaml",
        "c.yaml/d.yaml",
    ]
    assert find_configs(tmp_path / "a/_base.yaml") == [tmp_path / "a/_base.yaml"]
    assert find_configs(tmp_path / "a/x.txt") == [tmp_path / "a/x.txt"]


@pytest.mark.parametrize("path", ["nowhere", "nowhere.yaml", "empty"])
def test_where_there_is_no_config_that_is_said(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/_base.yaml").write_text(TASKS)
    with pytest.raises(NotFound, match=path):
        find_configs(tmp_path / path)


def test_the_demo_is_valid() -> None:
    root = Path(__file__).parents[2] / "demo"
    configs = find_configs(root / "experiments")
    assert configs
    for path in configs:
        loaded = load_config(path.read_bytes(), file=str(path), context=ConfigContext(root=root))
        assert loaded.problems == ()
