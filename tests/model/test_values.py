"""Equality, identity and order of values, and paths into nested values."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitorch.model.run.identity import digest
from gitorch.model.values import (
    are_identical,
    are_ordered,
    equal,
    equality_key,
    flattened,
    identity_key,
    kind_of,
    sort_key,
    value_at,
    with_value,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from((-1.0, 0.5, 1.0, 2.0, "", "1", "1.0", "true", "null")),
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("one", "other", "is_equal", "is_identical"),
    [
        (1, 1, True, True),
        (1, 1.0, True, False),
        (1, True, False, False),
        (1.0, True, False, False),
        (0, False, False, False),
        (1, "1", False, False),
        (None, "null", False, False),
        (None, False, False, False),
        (None, {}, False, False),
        ([], {}, False, False),
        ([1, [2]], [1, [2.0]], True, False),
        ([1], [True], False, False),
        ([1, 2], [2, 1], False, False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True, True),
        ({"a": 1}, {"a": 1.0}, True, False),
        ({"a": 1}, {"a": "1"}, False, False),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}], True, True),
        ("a", "a", True, True),
    ],
)
def test_numbers_are_equal_by_value_and_identical_as_written(
    one: Any, other: Any, is_equal: bool, is_identical: bool
) -> None:
    assert equal(one, other) is is_equal
    assert (hash(equality_key(one)) == hash(equality_key(other))) or not is_equal
    assert are_identical([one, other]) is is_identical


@given(VALUES, VALUES)
def test_identical_values_are_equal(one: Any, other: Any) -> None:
    if are_identical([one, other]):
        assert equal(one, other)


@given(VALUES, VALUES)
def test_values_are_identical_if_runs_with_them_are_one_run(
    one: Any, other: Any
) -> None:
    """`ready` takes two configs as one run if the digests of their values are the same."""
    assert (identity_key(one) == identity_key(other)) is (
        digest(one) == digest(other)
    )


@given(VALUES, VALUES)
def test_only_values_of_one_kind_are_equal(one: Any, other: Any) -> None:
    if equal(one, other):
        assert kind_of(one) == kind_of(other)


def test_only_numbers_and_texts_are_ordered() -> None:
    samples = [1, 2.5, "text", True, None, [1], {"a": 1}]
    ordered = [
        pair for pair in itertools.combinations(samples, 2) if are_ordered(*pair)
    ]
    assert ordered == [(1, 2.5)]
    assert are_ordered("a", "b")
    assert not are_ordered(True, False)


def test_values_of_any_kinds_can_be_sorted() -> None:
    values = [[1], "b", 10, {"a": 1}, "a", True, 2.5]
    assert sorted(values, key=sort_key) == [True, 2.5, 10, "a", "b", [1], {"a": 1}]


def test_a_path_leads_into_nested_mappings() -> None:
    values = {"a": {"b": {"c": 1}, "none": None}}
    assert value_at(values, ["a", "b", "c"]) == 1
    assert value_at(values, []) == values
    assert value_at(values, ["a", "none"], "missing") is None
    for path in (["x"], ["a", "x"], ["a", "b", "c", "d"], ["a", "none", "x"]):
        assert value_at(values, path) is None
        assert value_at(values, path, "missing") == "missing"


def test_a_value_is_put_at_a_path_without_changing_the_original() -> None:
    values = {"a": {"b": 1}, "other": {"kept": True}}
    changed = with_value(values, ("a", "c", "d"), 2)
    assert changed == {"a": {"b": 1, "c": {"d": 2}}, "other": {"kept": True}}
    assert values == {"a": {"b": 1}, "other": {"kept": True}}
    assert changed["other"] is values["other"]
    assert with_value(values, ("a", "b", "x"), 3)["a"] == {"b": {"x": 3}}


def test_nested_values_are_flattened_to_dotted_keys() -> None:
    values = {"a": {"b": 1, "c": {"d": [2]}}, "e": {}}
    assert flattened(values) == {"a.b": 1, "a.c.d": [2], "e": {}}
    assert flattened(values, "params.").keys() == {
        "params.a.b",
        "params.a.c.d",
        "params.e",
    }
