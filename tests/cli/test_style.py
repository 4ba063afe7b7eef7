"""Text for people contains no control sequences, and nothing of it is cut off."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from pathlib import Path

import pytest

from gitorch import cli
from gitorch.cli.style import (
    display_width,
    duration,
    has_colors,
    number,
    paint,
    plain,
    table,
)
from tests.conftest import gitorch, write


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("title\x1b]0;gone\x07!", "title!"),
        ("link\x1b]8;;http://x\x1b\\here", "linkhere"),
        ("bell\x07\x08\rback", "bellback"),
        ("kept\ttab\nline", "kept\ttab\nline"),
        ("lone \udcff byte", "lone ? byte"),
        ("ünï 日本", "ünï 日本"),
    ],
)
def test_control_sequences_are_removed(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (12, "12s"),
        (59.6, "1m00s"),
        (200, "3m20s"),
        (239.7, "4m00s"),
        (3599.7, "1h00m"),
        (7500, "2h05m"),
        (86_399, "1d00h"),
        (273_600, "3d04h"),
    ],
)
def test_durations_have_two_units_at_most(
    seconds: float | None, shown: str
) -> None:
    assert duration(seconds) == shown


def test_numbers_are_short_and_integers_whole() -> None:
    assert [number(value) for value in (0.1234567, 3, 1e-9, 10**12)] == [
        "0.123457",
        "3",
        "1e-09",
        "1000000000000",
    ]


def test_colours_do_not_shift_the_columns() -> None:
    red = paint("bad", "red", on=True)
    assert table(
        [["one", red, "1"], ["three", "worse", "2"]],
        header=["name", "how", "n"],
        colors=False,
    ) == [
        "name   how    n",
        f"one    {red}    1",
        "three  worse  2",
    ]


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("plain", 5),
        ("ペンギン", 8),
        ("ﾍﾟﾝｷﾞﾝ", 6),
        ("naïve", 5),
        (unicodedata.normalize("NFD", "naïve"), 5),
        (unicodedata.normalize("NFD", "한국"), 4),
        ("🐧", 2),
        ("\N{ZERO WIDTH JOINER}", 0),
        ("\x1b[31mred\x1b[0m", 3),
    ],
)
def test_the_width_of_a_text_is_its_number_of_cells(text: str, width: int) -> None:
    assert display_width(text) == width


def test_wide_characters_do_not_shift_the_columns_beside_them() -> None:
    assert table(
        [["ペンギン", "1"], ["penguin", "2"]], header=["name", "n"], colors=False
    ) == [
        "name      n",
        "ペンギン  1",
        "penguin   2",
    ]


def test_there_are_no_colours_off_a_terminal() -> None:
    assert not has_colors(io.StringIO())
    assert paint("x", "red", on=False) == "x"


def test_no_text_of_a_run_controls_the_terminal_or_breaks_a_line(
    project: Path,
) -> None:
    config = {
        "note": "\x1b[31mred",
        "tasks": [
            {"id": "t", "command": ["sh", "-c", "printf '\\033[2Jwiped'; exit 1"]}
        ],
    }
    write(project, "experiments/a.yaml", json.dumps(config))
    write(
        project, "experiments/b.yaml", json.dumps({**config, "note": "two\nlines"})
    )
    assert "\x1b" not in gitorch(project, "run", "experiments", code=1).stderr
    verbs = [["show", "a"], ["show", "b"], ["list"], ["compare", "a", "b"]]
    texts = [gitorch(project, *verb).stdout for verb in verbs]
    assert "\x1b" not in "".join(texts)
    assert "red" in texts[0]
    assert all("two\\nlines" in text for text in texts[1:])


def test_everything_is_printed_by_the_functions_of_style() -> None:
    """Other files print JSON and the path of a checkout alone."""
    printing = set()
    for path in Path(cli.__file__).parent.rglob("*.py"):
        if re.search(r"(?<![\w.])print\(", path.read_text()):
            printing.add(path.name)
    assert printing == {"style.py", "boundary.py", "checkout_run.py"}
