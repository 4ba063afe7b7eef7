"""Overrides of the values of a config with the option `-S`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitorch.config.pipeline import ConfigContext, LoadedConfig, load_config
from gitorch.model.problem import has_errors
from tests.config.complaints import marked
from tests.config.test_properties import ODD_TEXTS, TEXTS

CONFIG = """\
lr: 0.5
model: {depth: 3}
gitorch:
  matrix: {seed: [1, 2]}
  zip: {a: [1, 2], b: [3, 4]}
  exclude: [{seed: 1, a: 2}]
tasks:
  - {id: train, method: Train, epochs: 3}
"""
PLAIN = (
    "lr: 0.5\nmodel: {depth: 3}\ntasks: [{id: train, method: Train, epochs: 3}]\n"
)


def load(*options: str, text: str = PLAIN) -> LoadedConfig:
    return load_config(
        text.encode(),
        file="p.yaml",
        context=ConfigContext(root=Path("/")),
        overrides=options,
    )


def labels_of(config: LoadedConfig) -> list[str]:
    return [spec.label for spec in config.specs]


@pytest.mark.parametrize(
    ("option", "params"),
    [
        ("lr=1e-3", {"lr": 0.001, "model": {"depth": 3}}),
        ("lr=[1, 2]", {"lr": [1, 2], "model": {"depth": 3}}),
        ("lr={a: 1, b: [2]}", {"lr": {"a": 1, "b": [2]}, "model": {"depth": 3}}),
        ('lr="a,b"', {"lr": "a,b", "model": {"depth": 3}}),
        ("lr=no", {"lr": "no", "model": {"depth": 3}}),
        ("lr=null", {"lr": None, "model": {"depth": 3}}),
        ("lr=a=b", {"lr": "a=b", "model": {"depth": 3}}),
        ("lr = 7 ", {"lr": 7, "model": {"depth": 3}}),
        ("model.depth=5", {"lr": 0.5, "model": {"depth": 5}}),
        ("model.width=5", {"lr": 0.5, "model": {"depth": 3, "width": 5}}),
        ("new.er=x", {"lr": 0.5, "model": {"depth": 3}, "new": {"er": "x"}}),
        ("~lr", {"model": {"depth": 3}}),
        ("~model.depth", {"lr": 0.5, "model": {}}),
    ],
)
def test_an_override_sets_or_drops_one_param(
    option: str, params: dict[str, Any]
) -> None:
    config = load(option)
    assert config.problems == ()
    assert config.overrides == (option,)
    [spec] = config.specs
    assert spec.params == params
    assert spec.swept == ()


def test_an_override_sets_or_drops_a_param_of_a_task() -> None:
    [spec] = load("tasks.train.epochs=5", "tasks.train.optimizer.lr=1").specs
    assert spec.tasks[0].params == {"epochs": 5, "optimizer": {"lr": 1}}
    assert spec.document["tasks"] == [
        {"id": "train", "method": "Train", "epochs": 5, "optimizer": {"lr": 1}}
    ]
    [spec] = load("~tasks.train.epochs").specs
    assert spec.tasks[0].params == {}


@pytest.mark.parametrize(
    ("option", "labels"),
    [
        ("lr=0.1,0.01", ["lr=0.1", "lr=0.01"]),
        ("seed=range(1,4)", ["seed=1", "seed=2", "seed=3"]),
        ("seed= range(4, 0, -2) ", ["seed=4", "seed=2"]),
        ('k=[1,2],"a,b"', ["k=[1,2]", "k=a,b"]),
        ("model.depth=1, 2", ["model.depth=1", "model.depth=2"]),
        (
            "tasks.train.epochs=1,2",
            ["tasks.train.epochs=1", "tasks.train.epochs=2"],
        ),
    ],
)
def test_a_list_of_values_is_swept(option: str, labels: list[str]) -> None:
    config = load(option)
    assert config.problems == ()
    assert labels_of(config) == [f"p {label}" for label in labels]


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["seed=3"], ["seed=3 a=1 b=3", "seed=3 a=2 b=4"]),
        (["seed=1,5"], ["seed=1 a=1 b=3", "seed=5 a=1 b=3", "seed=5 a=2 b=4"]),
        (["a=7,2"], ["seed=1 a=7 b=3", "seed=2 a=7 b=3", "seed=2 a=2 b=4"]),
        (["a=7", "seed=1"], ["seed=1 a=7 b=3", "seed=1 a=7 b=4"]),
        (["~a", "~b"], ["seed=1", "seed=2"]),
        (
            ["~seed", "lr=1,2"],
            ["lr=1 a=1 b=3", "lr=1 a=2 b=4", "lr=2 a=1 b=3", "lr=2 a=2 b=4"],
        ),
    ],
)
def test_an_override_replaces_the_values_of_a_swept_key(
    options: list[str], labels: list[str]
) -> None:
    config = load(*options, text=CONFIG)
    assert config.problems == ()
    assert labels_of(config) == [f"p {label}" for label in labels]


@pytest.mark.parametrize(
    ("option", "message", "marked_text"),
    [
        ("lr", "'lr' does not change anything", "lr"),
        ("=1", "'=1' does not change anything", "=1"),
        ("lr=", "'lr' is given no value", "lr="),
        ("lr=\x1b[2J", "it holds a character that cannot be seen", "lr=\x1b[2J"),
        (
            "lr=[1",
            "not valid YAML: did not find expected ',' or ']' while parsing a flow sequence",
            "",
        ),
        (
            "lr=1], [2",
            "not valid YAML: did not find expected <document start>",
            ",",
        ),
        ("lr=#1", "'#1' is a comment in YAML", "#1"),
        (
            "lr=.inf",
            "'.inf' cannot be recorded: records are JSON, which has no infinity and no NaN",
            ".inf",
        ),
        ("lr=!!int 3", "YAML tags are not supported: !!int", "!!int 3"),
        ("lr=range(1,3),4", "'range(1,3),4' is not a range", "range(1,3),4"),
        ("lr=range(1,3,0)", "the step of a range cannot be 0", "range(1,3,0)"),
        (
            "outputDir=x",
            "'outputDir' is not a parameter: 'outputDir' is gitorch's own",
            "outputDir",
        ),
        (
            "tasks.train.id=x",
            "'tasks.train.id' is not a parameter: 'id' is gitorch's own",
            "tasks.train.id",
        ),
        (
            "tasks.tarin.x=1",
            "'tasks.tarin.x' does not name a task and one of its parameters",
            "tasks.tarin.x",
        ),
        ("lr.x=1", "'lr.x' leads nowhere: 'lr' is not a mapping", "lr.x"),
        (
            "epochs=1",
            "task 'train' has a 'epochs' of its own, which this would not change",
            "epochs",
        ),
        ("~lR", "there is no 'lR' to drop, did you mean 'lr'?", "lR"),
        (
            "~gitorch",
            "'gitorch' is not a parameter: 'gitorch' is gitorch's own",
            "gitorch",
        ),
    ],
)
def test_an_error_is_reported_at_its_position(
    option: str, message: str, marked_text: str
) -> None:
    config = load("model.depth=4", option)
    [problem] = config.problems
    assert problem.file == "-S"
    assert problem.line == 2
    assert problem.message == message
    assert problem.excerpt == option
    assert marked(problem) == marked_text
    assert config.specs == ()


TEXT = "to pass the text itself: -S "


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["p=&x"], TEXT + """'p="&x"'"""),
        (["p=[1, *x]"], TEXT + """'p="[1, *x]"'"""),
        (["p=[&x 1, *x]"], TEXT + """'p="[&x 1, *x]"'"""),
        (["p=!x y"], TEXT + """'p="!x y"'"""),
        (["p=a #b"], TEXT + """'p="a #b"'"""),
        (["p=1] #"], TEXT + """'p="1] #"'"""),
        (["p=a]: [b"], TEXT + """'p="a]: [b"'"""),
        (["p=f(1,2)"], TEXT + """'p="f(1,2)"'"""),
        (["p=[f(1,2)]"], TEXT + """'p="[f(1,2)]"'"""),
        (["p=a\\,b"], TEXT + """'p="a\\\\,b"'"""),
        (["p=1,000"], "-S p=0, or " + TEXT + """'p="000"'"""),
        (["p=007"], "-S p=7, or " + TEXT + """'p="007"'"""),
        (["p=1e-999"], "-S p=0.0, or " + TEXT + """'p="1e-999"'"""),
        (["p=a: b"], "-S 'p={a: b}'; " + TEXT + """'p="a: b"'"""),
        (["p={a,b}"], TEXT + """'p="{a,b}"'"""),
        (["p=1,"], "-S p=1 gives it once"),
        (["p=%d"], TEXT + """'p="%d"'"""),
        (["p=1", "p=2"], "-S p=1,2 sweeps it; or keep one of the options"),
        (["lr=1", "~lr"], "keep one of the options"),
        (["~lr", "lr=1"], "keep one of the options"),
        (["model.depth=1", "model={width: 2}"], "give 'model' first"),
    ],
)
def test_what_is_read_otherwise_than_it_is_seen_is_an_error_with_the_line_to_write(
    options: list[str], hint: str
) -> None:
    config = load(*options)
    [problem, *_] = config.problems
    assert problem.hint == hint
    assert config.specs == ()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("p=None", "None"),
        ("p=nan", "nan"),
        ("p=-inf", "-inf"),
        ("p=1_000", "1_000"),
        ("p=0b11", "0b11"),
        ("p=~", None),
        (r'p="C:\new"', "C:\new".replace("\\n", "\n")),
    ],
)
def test_what_another_language_reads_otherwise_is_a_warning(
    option: str, value: object
) -> None:
    config = load(option)
    [problem] = config.problems
    assert problem.severity == "warning"
    [spec] = config.specs
    assert spec.params["p"] == value


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "f(x)",
        "a(",
        "C:\\",
        "http://a:80/b#c",
        "2024-01-01",
        "12:30",
        "a=b",
        "-",
        "yes",
    ],
)
def test_other_texts_are_what_they_look_like(text: str) -> None:
    config = load(f"p={text}")
    assert config.problems == ()
    [spec] = config.specs
    assert spec.params["p"] == text


def test_a_misspelt_mapping_on_the_way_to_a_key_is_a_warning() -> None:
    [problem] = load("mdoel.depth=1").problems
    assert problem.message == "'mdoel' is a new parameter, did you mean 'model'?"


@pytest.mark.parametrize("option", ["lr=4", "lr=4,5"])
def test_a_warning_says_that_included_points_keep_their_values(option: str) -> None:
    text = (
        "gitorch: {include: [{lr: 1}, {lr: 2, seed: 3}]}\n"
        "tasks: [{id: a, command: 'true'}]\n"
    )
    config = load(option, text=text)
    [problem] = config.problems
    assert problem.severity == "warning"
    assert marked(problem) == "lr"
    assert (
        problem.message
        == "'include' sets 'lr' too, and the points that it lists keep their values"
    )
    assert {"p lr=1", "p lr=2 seed=3"} <= set(labels_of(config))


@pytest.mark.parametrize("option", ["lR=1", "lR=1,2", "model.dept=1"])
def test_a_new_key_close_to_another_one_is_a_warning(option: str) -> None:
    config = load(option)
    key, _, _ = option.partition("=")
    [problem] = config.problems
    assert problem.severity == "warning"
    assert problem.file == "-S"
    assert marked(problem) == key
    assert "is a new parameter, did you mean" in problem.message
    assert config.specs != ()


def test_a_new_key_close_to_a_swept_one_is_a_warning() -> None:
    [problem] = load("sed=1", text=CONFIG).problems
    assert problem.message == "'sed' is a new parameter, did you mean 'seed'?"


def test_a_problem_with_an_overridden_value_points_into_the_option() -> None:
    text = "out: x\noutputDir: '{out}'\ntasks: [{id: a, command: 'echo {out}'}]\n"
    [problem] = load("gone={}", "out.a=1", text=text).problems
    assert problem.file == "-S"
    assert problem.line == 2


KEYS = st.sampled_from(["lr", "seed", "a", "x"]) | TEXTS
OPTIONS = st.builds("{}={}".format, KEYS, TEXTS) | TEXTS


@settings(max_examples=100, deadline=None, derandomize=True)
@given(options=st.lists(OPTIONS))
def test_no_option_raises(options: list[str]) -> None:
    config = load(*options, text=CONFIG)
    assert bool(config.specs) is not has_errors(config.problems)
    for problem in config.problems:
        assert problem.length > 0
        if problem.excerpt:
            until_the_end = len(problem.excerpt) - problem.column + 1
            assert problem.length <= max(1, until_the_end)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_odd_text_in_an_option_does_not_raise(text: str) -> None:
    load(f"lr={text}", f"{text}=1", f"~{text}", text=CONFIG)
