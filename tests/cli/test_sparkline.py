"""A curve in one line of text."""

from __future__ import annotations

import pytest

from gitorch.cli.sparkline import sparkline
from gitorch.model.run.series import Series, SeriesPoint


@pytest.mark.parametrize(
    ("points", "drawn"),
    [
        ([], ""),
        ([(1, 5)], ""),
        ([(1, None), (2, None)], ""),
        ([(1, 5), (2, 5)], "▄▄"),
        ([(1, 0), (2, 5e-324)], "▄▄"),
        ([(3, 9), (1, 0), (2, None)], "▁ █"),
        ([(None, 9), (None, 0)], "█▁"),
        ([(1, -1.7e308), (2, 0), (3, 1.7e308)], "▁▅█"),
        ([(step, step) for step in range(1000)], "▁▁▂▂▂▃▃▄▄▄▅▅▅▆▆▇▇▇██"),
    ],
)
def test_a_sparkline(
    points: list[tuple[float | None, float | None]], drawn: str
) -> None:
    series = Series.of("a", (SeriesPoint(*point, None) for point in points))
    assert sparkline(series) == drawn
