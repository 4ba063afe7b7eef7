"""Sweeps in configs: their runs and their problems."""

from __future__ import annotations

import time

import pytest

from gitorch.config.pipeline import ConfigContext, load_config
from tests.config.complaints import TASKS, complaints, load, marked


def labels(text: str) -> list[str]:
    config = load(text)
    assert config.problems == ()
    return [spec.label.removeprefix("penguins ") for spec in config.specs]


def swept(settings: str, rest: str = TASKS) -> str:
    return f"lr: 0.5\nmodel: {{depth: 3, name: small}}\ngitorch: {{{settings}}}\n{rest}"


def test_a_run_for_each_combination() -> None:
    config = load(swept("matrix: {lr: [0.1, 1e-2], seed: 'range(1, 4)'}"))
    assert config.problems == ()
    assert config.dimensions == ("lr", "seed")
    assert [(spec.params["lr"], spec.params["seed"]) for spec in config.specs] == [
        (lr, seed) for lr in (0.1, 0.01) for seed in (1, 2, 3)
    ]
    assert [spec.swept for spec in config.specs] == [("lr", "seed")] * 6
    assert config.specs[3].label == "penguins lr=0.01 seed=1"


def test_every_setting_of_a_sweep() -> None:
    text = """\
        model: {depth: 3}
        gitorch:
          matrix: {model.depth: [1, 2], "tasks.train.1.epochs": [5, 7]}
          zip: {width: [64, 128], height: [0, 1]}
          exclude: [{model.depth: 1, width: 64}, {width: 128, tasks.train.1.epochs: 7}]
          include: [{model.depth: 2, speed: fast}, {note: no}]
        tasks:
          - {id: train.1, method: Train, epochs: 3}
          - {id: say, command: "echo {width} {model.depth}"}
        """
    assert labels(text) == [
        "model.depth=1 tasks.train.1.epochs=5 width=128 height=1 note=no",
        "model.depth=2 tasks.train.1.epochs=5 width=64 height=0 speed=fast note=no",
        "model.depth=2 tasks.train.1.epochs=5 width=128 height=1 speed=fast note=no",
        "model.depth=2 tasks.train.1.epochs=7 width=64 height=0 speed=fast note=no",
    ]
    config = load(text)
    assert config.dimensions == (
        "model.depth",
        "tasks.train.1.epochs",
        "width+height",
    )
    last = config.specs[-1]
    assert last.params == {
        "model": {"depth": 2},
        "width": 64,
        "height": 0,
        "speed": "fast",
        "note": "no",
    }
    assert last.task("train.1").params == {"epochs": 7}
    assert last.document["tasks"][0] == {
        "id": "train.1",
        "method": "Train",
        "epochs": 7,
    }


def test_a_config_without_a_sweep_is_one_run() -> None:
    for settings in ("", "matrix: {}", "zip: {}, exclude: [], include: []"):
        (spec,) = load(swept(settings)).specs
        assert (spec.label, spec.swept) == ("penguins", ())


def test_include_without_lists() -> None:
    assert labels(swept("include: [{lr: 1}, {lr: 2, seed: 1}]")) == [
        "lr=1",
        "lr=2 seed=1",
    ]


def test_a_value_can_be_a_list_or_a_mapping() -> None:
    assert labels(
        swept("matrix: {model: [{depth: 1}, {depth: 2}], sizes: [[1, 2], [3]]}")
    )[1] == ("model={depth:1} sizes=[3]")


@pytest.mark.parametrize(
    ("settings", "said", "at"),
    [
        (
            "matrix: [lr]",
            "'matrix' must be a mapping of keys to values, not a list",
            "[lr]",
        ),
        ("matrix: {lr: 0.1}", "'lr' must be a list or text, not a number", "0.1"),
        ("matrix: {lr: []}", "'lr' must not be empty", "[]"),
        ("matrix: {lr: small}", "'lr' must be a list, not text", "small"),
        ("matrix: {lr: range(3}", "'range(3' is not a range", "range(3"),
        ("matrix: {lr: 'range(3, 3)'}", "range(3, 3) is empty", "'range(3, 3)'"),
        (
            "matrix: {lr: 'range(1, 3, 0)'}",
            "the step of a range cannot be 0",
            "'range(1, 3, 0)'",
        ),
        ("include: {lr: 1}", "'include' must be a list, not a mapping", "{lr: 1}"),
        (
            "include: [1]",
            "'include[0]' must be a mapping of keys to values, not a number",
            "1",
        ),
        (
            "exclude: [{}], matrix: {lr: [1]}",
            "'exclude[0]' must not be empty",
            "{}",
        ),
        (
            "zip: {a: [1, 2], b: [1]}",
            "the lists are of unequal length: a has 2, b has 1",
            "zip",
        ),
        ("zip: {lr: [1]}, matrix: {lr: [1]}", "'lr' is in 'matrix' too", "lr"),
        (
            "matrix: {outputDir: [a]}",
            "'outputDir' is not a parameter: 'outputDir' is gitorch's own",
            "outputDir",
        ),
        (
            "matrix: {gitorch.name: [a]}",
            "'gitorch.name' is not a parameter: 'gitorch' is gitorch's own",
            "gitorch.name",
        ),
        (
            "include: [{tasks: []}]",
            "'tasks' is not a parameter: 'tasks' is gitorch's own",
            "tasks",
        ),
        (
            "zip: {tasks.train.method: [A]}",
            "'tasks.train.method' is not a parameter: 'method' is gitorch's own",
            "tasks.train.method",
        ),
        (
            "matrix: {tasks.train.gitorch.timeout: [1]}",
            "'tasks.train.gitorch.timeout' is not a parameter: 'gitorch' is gitorch's own",
            "tasks.train.gitorch.timeout",
        ),
        (
            "matrix: {tasks.train: [1]}",
            "'tasks.train' does not name a task and one of its parameters",
            "tasks.train",
        ),
        (
            "matrix: {tasks.tarin.x: [1]}",
            "'tasks.tarin.x' does not name a task and one of its parameters",
            "tasks.tarin.x",
        ),
        ("matrix: {a..b: [1]}", "'a..b' is not a dotted name", "a..b"),
        (
            "matrix: {lr.x: [1]}",
            "'lr.x' leads nowhere: 'lr' is not a mapping",
            "lr.x",
        ),
        (
            "matrix: {model.depth.x: [1]}",
            "'model.depth.x' leads nowhere: 'model.depth' is not a mapping",
            "model.depth.x",
        ),
        (
            "matrix: {model: [{}], model.depth: [1]}",
            "'model.depth' lies in 'model', which is swept too",
            "model.depth",
        ),
        (
            "matrix: {lr: [1], tasks.train.lr: [2]}",
            "'tasks.train.lr' is swept too, and hides 'lr' from that task",
            "lr",
        ),
        (
            "matrix: {lr: [1]}, exclude: [{sed: 1}]",
            "'sed' is in neither 'matrix' nor 'zip'",
            "sed",
        ),
        (
            "matrix: {seed: [1]}, exclude: [{sed: 1}]",
            "'sed' is in neither 'matrix' nor 'zip', did you mean 'seed'?",
            "sed",
        ),
        (
            "matrix: {lr: [1]}, exclude: [{lr: 1}]",
            "everything is excluded: there is nothing to run",
            "exclude",
        ),
        (
            "matrix: {a: range(101), b: range(100)}",
            "the sweep has 10,100 points, more than gitorch.sweepLimit allows (10,000)",
            "matrix",
        ),
        (
            "zip: {a: range(100000000000000)}",
            "the sweep has 100,000,000,000,000 points, more than gitorch.sweepLimit allows "
            "(10,000)",
            "zip",
        ),
    ],
)
def test_an_error_is_reported_at_its_position(
    settings: str, said: str, at: str
) -> None:
    config = load(swept(settings))
    (problem,) = config.problems
    assert (problem.message, marked(problem), problem.severity) == (
        said,
        at,
        "error",
    )
    assert config.specs == ()


def test_a_parameter_that_a_task_sets_itself_is_refused() -> None:
    tasks = "tasks: [{id: train, method: Train, lr: 1, model: {}}]\n"
    assert complaints(swept("matrix: {lr: [1], model.depth: [1]}", tasks)) == (
        "3:20: error: task 'train' has a 'lr' of its own, which this would not change\n"
        "  name 'tasks.train.lr', or remove 'lr' from the task\n"
        "3:29: error: task 'train' has a 'model' of its own, which this would not change\n"
        "  name 'tasks.train.model.depth', or remove 'model' from the task"
    )


def test_the_limit_is_a_setting() -> None:
    text = swept("matrix: {seed: range(20)}").encode()
    config = load_config(text, file="x.yaml", context=ConfigContext(sweep_limit=19))
    assert [problem.hint for problem in config.problems] == [
        "git config gitorch.sweepLimit 20"
    ]
    assert (
        len(
            load_config(
                text, file="x.yaml", context=ConfigContext(sweep_limit=20)
            ).specs
        )
        == 20
    )


@pytest.mark.parametrize(
    ("settings", "said", "at"),
    [
        ("matrix: {lR: [1]}", "'lR' is a new parameter, did you mean 'lr'?", "lR"),
        (
            "matrix: {model.dept: [1]}",
            "'dept' is a new parameter, did you mean 'depth'?",
            "model.dept",
        ),
        ("matrix: {seed: [1, 2, 1]}", "1 is listed twice, and makes one run", "1"),
        (
            "zip: {a: [1, 2, 1], b: [3, 4, 3]}",
            "1, 3 is listed twice, and makes one run",
            "1",
        ),
    ],
)
def test_a_suspicious_sweep_is_a_warning(settings: str, said: str, at: str) -> None:
    config = load(swept(settings))
    (problem,) = config.problems
    assert (problem.message, marked(problem), problem.severity) == (
        said,
        at,
        "warning",
    )
    assert config.specs != ()


def test_placeholders_are_checked_for_every_set_of_swept_keys() -> None:
    text = swept(
        "matrix: {seed: [1, 2]}, include: [{seed: 1, width: 3}, {seed: 3, height: 5}]",
        'outputDir: "{seed}/{height}"\n'
        'tasks: [{id: train, command: "train {seed} {width} {lr}"}]\n',
    )
    assert complaints(text) == (
        "4:20: error: in 'penguins seed=1 width=3' there is no parameter 'height'\n"
        "  to mean braces, put blanks in them: { height }\n"
        "5:44: error: in 'penguins seed=2' there is no parameter 'width'\n"
        "  to mean braces, double them: {{width}}"
    )


def test_placeholders_are_checked_for_the_keys_of_swept_mappings() -> None:
    text = swept(
        "matrix: {size: [{x: 1}, {x: 2}, {y: 1}]}",
        "tasks: [{id: a, command: 'a {size.x} {model.depth}'}]",
    )
    (problem,) = load(text).problems
    assert problem.message.startswith(
        "in 'penguins size={y:1}' there is no parameter 'size.x'"
    )


def test_no_swept_value_leads_outputDir_out_of_the_repository() -> None:
    text = swept(
        "matrix: {a: [x, '.', ..], b: [y, .]}", f"outputDir: '{{a}}/{{b}}'\n{TASKS}"
    )
    (problem,) = load(text).problems
    assert (
        problem.message
        == "filled in, 'outputDir' is '../y', which leads outside by '..'"
    )


def test_a_nul_in_a_swept_value_is_found() -> None:
    text = swept(
        'matrix: {a: [x, "\\0"]}', "tasks: [{id: a, command: 'echo {a}'}]\n"
    )
    (problem,) = load(text).problems
    assert (
        problem.message
        == "filled in, 'command' holds a NUL character, which no command can"
    )


def test_other_problems_are_reported_with_a_wrong_sweep() -> None:
    text = swept(
        "matrix: {seed: [1], outputDir: [a]}",
        "tasks: [{id: a, command: 'echo {seed} {x}'}]\n",
    )
    assert [problem.message for problem in load(text).problems] == [
        "'outputDir' is not a parameter: 'outputDir' is gitorch's own",
        "there is no parameter 'x'",
    ]


def test_ten_thousand_points_are_read_quickly() -> None:
    text = swept(
        "matrix: {lr: range(100), model.depth: range(50), tasks.train.epochs: [1, 2]}, "
        "exclude: [{lr: 7}]",
        "outputDir: 'out/{lr}'\ntasks: [{id: train, method: Train}, {id: say, command: 'echo "
        "{lr} {model.depth}'}]\n",
    )
    load(text)
    start = time.process_time()
    assert len(load(text).specs) == 9_900
    assert time.process_time() - start < 2  # 0.3 on an idle machine


@pytest.mark.parametrize("task", ["a b", "..", "a"])
def test_a_sweep_over_a_task_with_an_invalid_id(task: str) -> None:
    text = swept(
        f"matrix: {{'tasks.{task}.x': [1]}}",
        f"tasks: [{{id: a, method: A}}, {{id: '{task}', method: A}}]\n",
    )
    config = load(text)
    assert config.problems != ()
    assert config.specs == ()
