"""Lengths of time and amounts of memory, as written."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitorch.model.text.quantities import (
    LARGEST,
    LONGEST,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("30m", 1_800),
        ("2h", 7_200),
        ("2d", 172_800),
        ("1h30m", 5_400),
        ("1d 2h 3m 4.5s", 93_784.5),
        ("1.5h", 5_400),
        ("0s", 0),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
        (LONGEST, LONGEST),
        ("3650d", LONGEST),
    ],
)
def test_a_length_of_time_is_parsed(written: str | float, seconds: float) -> None:
    assert parse_duration(written) == seconds
    assert type(parse_duration(written)) is float


@pytest.mark.parametrize(
    ("written", "why"),
    [
        *(
            (text, "is not a length of time")
            for text in (
                "",
                " ",
                "h",
                "90",
                "1:30",
                "2 hours",
                "30m1h",
                "1h1h",
                "2H",
                "1M",
            )
        ),
        *(
            (text, "is not a length of time")
            for text in (
                "-1s",
                "+1s",
                "1e3s",
                ".5h",
                "1.h",
                "٣s",
                "²s",
                "1s\n",
                "inf",
            )
        ),
        (-1, "is negative"),
        (-0.001, "is negative"),
        ("3650d1s", "is longer than ten years"),
        (10**900, "is longer than ten years"),
        (1e300, "is longer than ten years"),
    ],
)
def test_other_texts_are_not_a_length_of_time(
    written: str | float, why: str
) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("500MB", 500_000_000),
        ("8GiB", 8 << 30),
        ("8G", 8 << 30),
        ("8g", 8 << 30),
        ("8gib", 8 << 30),
        ("8 GB", 8_000_000_000),
        ("1.5K", 1_536),
        ("1kB", 1_000),
        ("2TiB", 2 << 40),
        ("2TB", 2 * 10**12),
        ("1.1GB", 1_100_000_000),
        ("64B", 64),
        ("0", 0),
        (0, 0),
        (0.0, 0),
        ("1048576TiB", LARGEST),
    ],
)
def test_an_amount_of_memory_is_parsed(written: str | float, size: int) -> None:
    assert parse_size(written) == size
    assert type(parse_size(written)) is int


@pytest.mark.parametrize(
    ("written", "why"),
    [
        *(
            (text, "is not an amount of memory")
            for text in (
                "",
                "G",
                "8GO",
                "8X",
                "8GiBs",
                "-8G",
                "1e3M",
                "all",
                "8\u212a",
            )
        ),
        ("8", "has no unit"),
        (8, "has no unit"),
        (0.5, "has no unit"),
        (-1, "is negative"),
        ("1048577TiB", "is too much memory"),
        (10**900, "is too much memory"),
    ],
)
def test_other_texts_are_not_an_amount_of_memory(
    written: str | float, why: str
) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_size(written)


@given(
    written=st.text()
    | st.text("0123456789.dhmskgtib ")
    | st.floats(allow_nan=False)
    | st.integers()
)
def test_any_value_is_parsed_or_a_value_error(written: str | float) -> None:
    for parse, most in ((parse_duration, LONGEST), (parse_size, LARGEST)):
        with suppress(ValueError):
            assert 0 <= parse(written) <= most


@pytest.mark.parametrize(
    "text",
    ["1" * 1_000_000, " " * 1_000_000, "1 " * 500_000, "1" + " " * 1_000_000 + "x"],
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    began = time.monotonic()
    for parse in (parse_duration, parse_size):
        with pytest.raises(ValueError, match="is not a"):
            parse(text)
    assert time.monotonic() - began < 1
