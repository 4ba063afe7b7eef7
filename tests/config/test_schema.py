"""The JSON schema of configs, and the problems it finds in the keys of a config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from gitorch.config.schema import schema
from gitorch.model.problem import Severity
from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS, RETRIABLE, task_config
from tests.config.complaints import TASKS, complaints, load


def parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from parts(inner)
    if isinstance(part, list):
        for inner in part:
            yield from parts(inner)


def test_the_schema_is_valid() -> None:
    Draft7Validator.check_schema(schema())


def test_the_schema_has_exactly_the_keys_of_gitorch() -> None:
    definitions = schema()["definitions"]
    assert schema()["properties"].keys() == OWN_KEYS
    assert definitions["task"]["properties"].keys() == OWN_TASK_KEYS
    assert (
        definitions["taskSettings"]["properties"].keys()
        <= definitions["fileSettings"]["properties"].keys()
    )


def test_the_schema_has_exactly_the_outcomes_that_can_be_retried() -> None:
    on = schema()["definitions"]["retries"]["properties"]["on"]
    assert on["items"]["enum"] == on["default"] == [str(kind) for kind in RETRIABLE]


def test_every_key_is_described() -> None:
    for part in parts(schema()):
        for key, described in part.get("properties", {}).items():
            if described.get("not") == {}:  # forbidden, where another key is there
                continue
            target = described.get("$ref", "").removeprefix("#/definitions/")
            assert "description" in (
                schema()["definitions"][target] if target else described
            ), key


def test_the_defaults_and_examples_are_valid() -> None:
    for part in parts(schema()):
        for value in (
            [part["default"]] if "default" in part else part.get("examples", [])
        ):
            Draft7Validator(
                {**part, "definitions": schema()["definitions"]}
            ).validate(value)


def test_every_pattern_has_an_error_message() -> None:
    assert all(
        "patternErrorMessage" in part
        for part in parts(schema())
        if "pattern" in part
    )


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("pathToTask", "pathToTasks"),
        ("output_dir", "outputDir"),
        ("OutputDir", "outputDir"),
        ("gitOrch", "gitorch"),
    ],
)
def test_a_parameter_close_to_a_key_is_a_warning(key: str, meant: str) -> None:
    config = load(f"{key}: x\n{TASKS}")
    (problem,) = config.problems
    assert problem.severity is Severity.WARNING
    assert (
        problem.message
        == f"'{key}' is taken for a parameter, did you mean '{meant}'?"
    )
    assert config.specs[0].params == {key: "x"}


def test_a_near_miss_of_a_key_that_is_missing_is_an_error() -> None:
    assert (
        complaints("task: []\n")
        == "1:1: error: unknown key 'task', did you mean 'tasks'?"
    )
    assert complaints("tasks: [{ID: a, comand: b}]") == (
        "1:10: error: unknown key 'ID', did you mean 'id'?\n"
        "1:17: error: unknown key 'comand', did you mean 'command'?"
    )
    assert complaints("tasks: [{id: a, method: A, comand: b}]") == (
        "1:28: warning: 'comand' is taken for a parameter, did you mean 'command'?"
    )


@pytest.mark.parametrize(
    "key",
    [
        "epochs",
        "model",
        "idx",
        "dataset",
        "mode",
        "outputs",
        "name",
        "python",
        "comment",
    ],
)
def test_a_parameter_may_have_any_other_name(key: str) -> None:
    config = load(f"{key}: 1\ntasks: [{{id: train, method: Train, {key}: 2}}]")
    assert config.problems == ()
    assert task_config(config.specs[0], config.specs[0].tasks[0], "/out")[key] == 2
