"""All passes over a config: what a config can contain, and all problems at once and in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitorch.config.discovery import find_configs
from gitorch.config.pipeline import ConfigContext, load_config
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.model.run.spec import Resources, Retries, RunSpec, TaskSpec
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


def test_every_key_and_setting_of_a_config() -> None:
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
                        max=3,
                        on=(OutcomeKind.SIGNAL, OutcomeKind.TIMEOUT),
                        backoff_s=30.0,
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
            env={
                "OMP_NUM_THREADS": "1",
                "DEBUG": "true",
                "MODE": "fast",
                "RATE": "0.5",
            },
            python=".venv/bin/python",
        ),
    )


def test_the_minimal_file_of_four_keys() -> None:
    text = (
        "githubRepository: https://github.com/o/r\npathToTasks: .\noutputDir: out\n"
        + TASKS
    )
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
    assert complaints("- a\n").startswith(
        "1:1: error: a config must be a mapping, not a list\n"
    )
    assert complaints("just words\n").startswith(
        "1:1: error: a config must be a mapping, not text\n"
    )
    assert complaints("a: 1\n") == (
        "1:1: error: there are no 'tasks'\n  list at least one:\n  tasks:\n"
        "    - {id: train, method: Train}"
    )


def test_all_problems_are_reported_at_once_and_in_order() -> None:
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
  known here: version, name, extends, matrix, zip, exclude, include, code, link, sparse, env, python, conda, paramsFile, \
environment, inputs, outputs, discard, metrics, timeout, retries, priority, resources, cache, shell, flags, volatile, \
steps, engine, slurm, ship; \
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
  to mean braces, double them: {{outputdir}}
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


def test_a_problem_found_later_has_a_position() -> None:
    config = load(FULL)
    problem = config.problem(
        ("tasks", 1, "method"), "there is no class 'Train'", "did you commit it?"
    )
    assert (problem.file, problem.line, problem.column) == (
        "experiments/penguins.yaml",
        22,
        25,
    )
    assert marked(problem) == "Train"
    assert (
        marked(config.problem(("tasks", 1, "epochs"), "too many", key=True))
        == "epochs"
    )


def test_the_demo_is_valid() -> None:
    root = Path(__file__).parents[2] / "demo"
    configs = find_configs(root / "experiments")
    assert configs
    for path in configs:
        loaded = load_config(
            path.read_bytes(), file=str(path), context=ConfigContext(root=root)
        )
        assert loaded.problems == ()
