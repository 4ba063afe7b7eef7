"""Axes with round ticks, and curves as SVG that any text and any number can be in."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from gitorch.model.plot.axis import Axis
from gitorch.model.plot.curves import Curve, Panel, curve_of, segments
from gitorch.model.plot.svg import draw
from gitorch.model.run.series import Series, SeriesPoint

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e&\"'\x00]]>\ud800"


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([-3.2, 41], ["0", "10", "20", "30", "40"]),
        ([0.00012, 0.00031], ["0.00015", "0.0002", "0.00025", "0.0003"]),
        ([5, 5], ["4.6", "4.8", "5", "5.2", "5.4"]),
        ([], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([-1.7e308, 1.7e308], None),
    ],
)
def test_ticks_are_round(values: list[float], labels: list[str] | None) -> None:
    axis = Axis.of(values)
    if labels is not None:
        assert [tick.label for tick in axis.ticks] == labels
    assert all(0 <= axis.share(tick.value) <= 1 for tick in axis.ticks)


def test_ticks_of_a_logarithmic_axis() -> None:
    labels = [tick.label for tick in Axis.of([0.003, 20, -1, 0], is_log=True).ticks]
    assert labels == ["0.01", "0.1", "1", "10"]
    labels = [tick.label for tick in Axis.of([12, 70], is_log=True).ticks]
    assert labels == ["20", "50"]
    wide = Axis.of([1e-300, 1e300], is_log=True)
    assert 2 <= len(wide.ticks) <= 7
    assert Axis.of([-1.0], is_log=True).low == 1


@example([1.1125369292536007e-308], True)
@example([5e-324], True)
@example([1e-323, 5e-324], True)
@given(
    some.lists(some.floats(allow_nan=False, allow_infinity=False), max_size=4),
    some.booleans(),
)
def test_every_range_has_an_axis(values: list[float], is_log: bool) -> None:
    axis = Axis.of(values, is_log=is_log)
    assert 2 <= len(axis.ticks) <= 40
    for tick in axis.ticks:
        assert math.isfinite(axis.share(tick.value))
        assert -0.001 <= axis.share(tick.value) <= 1.001
    for value in values:
        if not is_log or value > 0:
            assert -0.001 <= axis.share(value) <= 1.001


def series(*points: tuple[float | None, float | None, float | None]) -> Series:
    return Series.of("loss", (SeriesPoint(*point) for point in points))


def test_a_curve_goes_from_left_to_right_and_has_gaps() -> None:
    curve = curve_of(series((3, 1, 9), (1, 2, 7), (2, None, 8)), "a")
    assert curve.points == [(1, 2), (2, None), (3, 1)]
    assert segments(curve.points, log_x=False, log_y=False) == [[(1, 2)], [(3, 1)]]
    by_time = curve_of(series((3, 1, 9), (1, 2, 7)), "a", by_time=True)
    assert by_time.points == [(0, 2), (2, 1)]
    counted = curve_of(series((3, 1, None), (None, 2, None)), "a")
    assert counted.points == [(1, 1), (2, 2)]
    assert segments([(0, 1), (1, -1), (2, 3)], log_x=True, log_y=True) == [[(2, 3)]]


def test_a_picture_is_sound_whatever_the_names_are() -> None:
    curves = [Curve(HOSTILE, [(0.0, 1.0), (1.0, None), (2.0, 3.0)])]
    curves += [Curve(f"run {number}", [(0, number)]) for number in range(30)]
    panels = [Panel(HOSTILE, "step", curves), Panel("empty", "step", [])]
    for log in (False, True):
        picture = draw(panels, log_x=log, log_y=log, is_file=True)
        root = ElementTree.fromstring(picture)
        assert not root.findall(f".//{SVG}script")
        titles = [title.text for title in root.findall(f".//{SVG}title")]
        assert titles[0] == "<script>alert(1)</script>[31m&\"']]>"
        texts = [text.text for text in root.findall(f".//{SVG}text")]
        assert "… and 11 more" in texts
        assert "nan" not in picture
        assert "inf" not in picture
    assert "<style" not in draw(panels)


def test_large_numbers_stay_in_the_picture(tmp_path: Path) -> None:
    curve = Curve("a", [(0.0, -1.7e308), (1e-320, 1.7e308), (5.0, 5e-324)])
    picture = draw([Panel("a", "step", [curve])])
    [path] = [
        element
        for element in ElementTree.fromstring(picture).iter(f"{SVG}path")
        if element.find(f"{SVG}title") is not None
    ]
    for word in path.attrib["d"].replace("M", "").replace("L", " ").split():
        assert 0 <= float(word) <= 720
