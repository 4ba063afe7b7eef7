"""Values that write themselves as JSON and are read back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import field

from gitorch.model.json_struct import JsonStruct, always, empty_mapping, without_empty


class Thing(JsonStruct, frozen=True, kw_only=True):
    name: str
    size: int = always(0)
    source: str | None = always(None, name="from")
    parts: tuple[str, ...] = always(())
    values: dict[str, int] = field(default_factory=empty_mapping)
    added_later: tuple[str, ...] = ()


def test_a_field_with_a_plain_default_is_left_out_of_json() -> None:
    written = {"name": "a", "size": 0, "from": None, "parts": (), "values": {}}
    assert Thing(name="a").to_json() == written
    assert Thing(name="a", added_later=("x",)).to_json() == {**written, "added_later": ("x",)}


def test_a_value_is_read_as_it_was_written() -> None:
    thing = Thing(name="a", size=2, source="b", parts=("c", "\udcff"), values={"d": 1})
    assert Thing.from_json(thing.to_json()) == thing


def test_missing_and_unknown_keys_are_accepted() -> None:
    assert Thing.from_json({"name": "a", "mood": "good"}) == Thing(name="a")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "Object missing required field `name`"),
        ({"name": "a", "parts": ["b", 1]}, r"Expected `str`, got `int` - at `\$.parts\[1\]`"),
    ],
    ids=["missing", "type"],
)
def test_a_wrong_value_is_refused_with_its_path(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Thing.from_json(value)


def test_each_value_has_a_mapping_of_its_own() -> None:
    one, other = Thing(name="a"), Thing(name="a")
    assert one.values is not other.values


def test_without_empty_keeps_what_has_content() -> None:
    assert without_empty({"a": (), "b": [0], "c": {}, "d": "x"}) == {"b": [0], "d": "x"}
