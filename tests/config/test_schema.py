"""The schema of configs, as editors use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator

from gitorch.config.schema import schema
from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS, RETRIABLE


def parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from parts(inner)
    if isinstance(part, list):
        for inner in part:
            yield from parts(inner)


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(schema())


def test_it_knows_exactly_the_keys_that_are_our_own() -> None:
    definitions = schema()["definitions"]
    assert schema()["properties"].keys() == OWN_KEYS
    assert definitions["task"]["properties"].keys() == OWN_TASK_KEYS
    assert (
        definitions["taskSettings"]["properties"].keys()
        <= definitions["fileSettings"]["properties"].keys()
    )


def test_it_knows_exactly_the_outcomes_that_can_be_retried() -> None:
    on = schema()["definitions"]["retries"]["properties"]["on"]
    assert on["items"]["enum"] == on["default"] == [str(kind) for kind in RETRIABLE]


def test_every_key_is_described() -> None:
    for part in parts(schema()):
        for key, described in part.get("properties", {}).items():
            if described.get("not") == {}:  # forbidden, where another key is there
                continue
            target = described.get("$ref", "").removeprefix("#/definitions/")
            assert "description" in (schema()["definitions"][target] if target else described), key


def test_its_defaults_and_examples_are_valid() -> None:
    for part in parts(schema()):
        for value in [part["default"]] if "default" in part else part.get("examples", []):
            Draft7Validator({**part, "definitions": schema()["definitions"]}).validate(value)


def test_every_pattern_says_what_it_wants() -> None:
    assert all("patternErrorMessage" in part for part in parts(schema()) if "pattern" in part)
