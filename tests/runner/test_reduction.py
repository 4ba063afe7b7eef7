"""Series are reduced to few points, which keep every peak."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from gitorch.runner.reduction import MOST_NAMES, Reduction, Reductions


class Dot(NamedTuple):
    at: int
    value: float | None


def dots(*values: float | None) -> list[Dot]:
    return [Dot(at, value) for at, value in enumerate(values)]


@pytest.mark.parametrize("piece", [1, 7, 1000, 50_000])
def test_a_long_series_keeps_its_ends_and_its_peaks(piece: int) -> None:
    choose = random.Random(3)
    points = dots(*(choose.random() for _ in range(50_000)))
    points[31_111] = Dot(31_111, 9.0)
    points[17] = Dot(17, -9.0)
    series = Reduction(200)
    for start in range(0, len(points), piece):
        series.extend(points[start : start + piece])
    kept = series.points
    assert series.total == 50_000
    assert 50 <= len(kept) <= 200
    assert kept[0] is points[0]
    assert kept[-1] is points[-1]
    assert points[31_111] in kept
    assert points[17] in kept
    assert kept == sorted(kept)
    assert len(set(kept)) == len(kept)


def test_a_short_series_is_whole() -> None:
    points = dots(3, 1, None, 2)
    series = Reduction(16)
    series.extend(points)
    assert series.points == points
    assert Reduction(16).points == []


def test_gaps_stay_and_a_series_of_gaps_is_reduced() -> None:
    points = dots(*[1.0] * 1000, None, *[2.0] * 1000)
    series = Reduction(32)
    series.extend(points)
    assert points[1000] in series.points
    gaps = Reduction(32)
    gaps.extend(dots(*[None] * 1000))
    assert {dot.value for dot in gaps.points} == {None}
    assert len(gaps.points) <= 32


def test_a_limit_can_be_lowered_later() -> None:
    series = Reduction(None)
    series.extend(dots(*range(1000)))
    assert len(series.points) == 1000
    series.limit(20)
    assert len(series.points) <= 20
    assert [series.points[0].at, series.points[-1].at] == [0, 999]


def test_many_series_share_what_there_is() -> None:
    many = Reductions(1000, 2000)
    for name in range(MOST_NAMES + 5):
        many.add(str(name), dots(*range(100)))
    many.add("x" * 501, dots(1))
    assert len(many.by_name) == MOST_NAMES
    assert many.left_out == 501
    assert sum(len(series.points) for series in many.by_name.values()) <= 16_000
