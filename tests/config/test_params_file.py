"""Parameters laid over a YAML or JSON file."""

from __future__ import annotations

import pytest
import yaml

from gitorch.config.params_file import BadParamsFile, overlaid

YAML = b"""\
# A comment.
lr: 0.5
debug: no
eps: 1e-3
base: &base {depth: 1, width: 2}
model: *base
layers: [1, 2]
"""


def test_other_keys_stay_as_they_are_written() -> None:
    params = {"lr": 1e-05, "model": {"depth": 9}, "new": {"b": 1, "a": "no"}}
    assert overlaid(YAML, "params.yaml", params).decode() == (
        "lr: 1.0e-05\n"
        "debug: no\n"
        "eps: 1e-3\n"
        "base: {depth: 1, width: 2}\n"
        "model: {depth: 9, width: 2}\n"
        "layers: [1, 2]\n"
        "new:\n"
        "  b: 1\n"
        "  a: 'no'\n"
    )


def test_a_value_replaces_another_of_any_kind() -> None:
    params = {"model": None, "layers": [3], "lr": {"a": True}}
    found = yaml.safe_load(overlaid(YAML, "params.yml", params))
    assert found["model"] is None
    assert found["layers"] == [3]
    assert found["lr"] == {"a": True}


def test_laying_over_twice_changes_nothing() -> None:
    params = {"lr": "x: y", "model": {"depth": [1, {"a": None}]}}
    once = overlaid(YAML, "params.yaml", params)
    assert overlaid(once, "params.yaml", params) == once


def test_json_is_merged() -> None:
    data = b'{"lr": 0.5, "model": {"depth": 1, "width": 2}}'
    assert overlaid(
        data, "p.json", {"model": {"depth": 9}, "é": None}
    ).decode() == (
        '{\n  "lr": 0.5,\n  "model": {\n    "depth": 9,\n    "width": 2\n  },\n  "é": null\n}\n'
    )


def test_an_empty_file_becomes_the_parameters() -> None:
    assert overlaid(b"", "params.yaml", {"lr": 1}) == b"lr: 1\n"


@pytest.mark.parametrize(
    ("data", "file", "why"),
    [
        (b"- 1\n", "p.yaml", "it is a list, not a mapping"),
        (b"[1]", "p.json", "it is a list, not a mapping"),
        (b"{", "p.json", "it is not JSON: Expecting property name"),
        (b"a: [\n", "p.yaml", "line 1: not valid YAML"),
        (b"[" * 100_000, "p.yaml", "line 1: nested deeper than"),
    ],
)
def test_a_file_that_cannot_be_used(data: bytes, file: str, why: str) -> None:
    with pytest.raises(BadParamsFile) as error:
        overlaid(data, file, {})
    assert str(error.value).startswith(why)
