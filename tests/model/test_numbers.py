"""Numbers that JSON, SQLite or other programs cannot hold."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from gitorch.model.numbers import LARGEST_INTEGER, clamped, finite, measured

ODD = (
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    -(10**400),
    10**30,
    LARGEST_INTEGER + 1,
    1e308,
    -0.0,
    5e-324,
)


@pytest.mark.parametrize("value", ODD)
def test_a_measured_number_is_finite_and_fits_into_64_bits(value: float) -> None:
    number = measured(value)
    if number is not None:
        assert math.isfinite(number)
        assert isinstance(number, float) or abs(number) <= LARGEST_INTEGER
        assert number == pytest.approx(float(value))
    assert json.loads(json.dumps(number, allow_nan=False)) == number


@pytest.mark.parametrize("value", [0, 1, -3, LARGEST_INTEGER, 0.1, 1e300])
def test_an_ordinary_number_is_unchanged(value: float) -> None:
    assert measured(value) == value
    assert type(measured(value)) is type(value)


def test_all_numbers_of_a_value_become_finite() -> None:
    value: Any = {
        "a": [math.inf, 1.5, True],
        "b": math.nan,
        "c": {"d": (10**400, "x")},
    }
    assert finite(value) == {
        "a": [None, 1.5, True],
        "b": None,
        "c": {"d": [None, "x"]},
    }


def test_a_number_is_moved_to_the_nearest_bound() -> None:
    assert [clamped(value, 10) for value in (-(10**20), -3, 10**20)] == [
        -10,
        -3,
        10,
    ]
