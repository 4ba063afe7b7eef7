"""Problems that point at the position of a value in a file."""

from __future__ import annotations

import pytest

from gitorch.config.document import Document
from gitorch.config.yaml_parser import parse_document
from tests.config.complaints import marked


def parse(text: str) -> Document:
    return parse_document(text.encode(), "a.yaml")


CONFIG = """\
# a comment
top: one

list:
  - {id: a, größe: "x {y} {y}"}
  - command: |
      echo {y}
      echo {y}
    empty:
"""


@pytest.mark.parametrize(
    ("path", "options", "place", "pointed"),
    [
        ((), {}, (2, 1), "top: one"),
        (("top",), {}, (2, 6), "one"),
        (("top",), {"key": True}, (2, 1), "top"),
        (("list",), {"key": True}, (4, 1), "list"),
        (("list", 0), {}, (5, 5), '{id: a, größe: "x {y} {y}"}'),
        (("list", 0, "größe"), {}, (5, 20), '"x {y} {y}"'),
        (("list", 0, "größe"), {"part": ("{y}", 1)}, (5, 27), "{y}"),
        (("list", 1, "command"), {}, (6, 14), "|"),
        (("list", 1, "command"), {"part": ("{y}", 1)}, (8, 12), "{y}"),
        (("list", 1, "empty"), {}, (9, 5), "empty"),
        (("list", 1, "absent"), {}, (6, 5), "command: |"),
        (("list", 7), {}, (5, 3), '- {id: a, größe: "x {y} {y}"}'),
        (("absent", "deep", 3), {"key": True}, (2, 1), "top: one"),
    ],
)
def test_a_problem_points_at_the_value_at_a_position(
    path: tuple[str | int, ...], options: dict, place: tuple[int, int], pointed: str
) -> None:
    problem = parse(CONFIG).problem(path, "wrong", **options)
    assert (problem.line, problem.column) == place
    assert marked(problem) == pointed


def test_a_missing_value_has_no_node() -> None:
    assert parse("a: [").node(()) is None
    assert parse("a: 1").node(("a", "b")) is None
    assert parse("a: [1, two]").node(("a", 1)).value == "two"


def test_a_line_that_is_too_long_is_not_shown() -> None:
    (problem,) = parse("a: [" + "1, " * 1000 + ".inf]").problems
    assert (problem.column, problem.length, problem.excerpt) == (3005, 4, "")
