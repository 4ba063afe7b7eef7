"""YAML parsed into values with positions: YAML 1.2, limits, and all problems at once."""

from __future__ import annotations

import pytest

from gitorch.config.document import Document
from gitorch.config.yaml_parser import DEEPEST, LARGEST, MOST, parse_document
from tests.config.complaints import said


def parse(text: str | bytes) -> Document:
    return parse_document(
        text.encode() if isinstance(text, str) else text, "a.yaml"
    )


def refusals(text: str | bytes) -> list[str]:
    return [said(problem) for problem in parse(text).problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+12", 12),
        ("017", 17),
        ("0o17", 15),
        ("0xFf", 255),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("Null", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ('"~"', "~"),
        ("1e", "1e"),
        (".", "."),
        ("--1", "--1"),
        ("١", "١"),
        ("a # b", "a"),
    ],
)
def test_values_are_those_of_yaml_1_2(written: str, value: object) -> None:
    document = parse(f"key: {written}\n")
    assert document.problems == ()
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)


def test_aliases_repeat_what_they_stand_for() -> None:
    assert parse("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n").value == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": [{"b": [1]}, {"b": [1]}],
    }


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    document = parse(b"\xef\xbb\xbfa: 1\n1: 2\n")
    assert document.value == {"a": 1}
    assert refusals(b"\xef\xbb\xbf1: 2\n") == [
        '1:1: error: a key must be text, not a number\n  quote it: "1"'
    ]


def test_all_problems_are_reported_at_once() -> None:
    text = (
        "a: 1\nb: {x: 1, 2: 3, x: 4}\na: .inf\nc: !!python/name:os.system x\n<<: {d: 1}\n? [e]\n"
        ": 1\n? \n: 5\n"
    )
    assert refusals(text) == [
        '2:11: error: a key must be text, not a number\n  quote it: "2"',
        "2:17: error: duplicate key 'x'\n  line 2 has it already: keep one of them",
        "3:4: error: '.inf' cannot be recorded: records are JSON, which has no infinity and "
        "no NaN\n"
        '  quote it to pass text: ".inf"',
        "3:1: error: duplicate key 'a'\n  line 1 has it already: keep one of them",
        "4:4: error: YAML tags are not supported: !!python/name:os.system\n"
        "  write the value without it",
        "5:1: error: '<<' does not merge here\n"
        "  write the keys out: merging is not part of YAML 1.2",
        "6:3: error: a key must be text, not a list or a mapping",
        "8:2: error: a key must be text, not nothing\n  write a key before the ':'",
    ]


@pytest.mark.parametrize(
    "tag", ["!", "!!str", "!own", "!<tag:example.org,2000:x>", "!!binary", "!!set"]
)
def test_every_tag_is_refused(tag: str) -> None:
    (problem,) = parse(f"a: {tag} x\n").problems
    assert problem.message.startswith("YAML tags are not supported: ")
    assert (problem.line, problem.column) == (1, 4)


@pytest.mark.parametrize(
    "number", [".nan", "-.INF", "1e999", "9" * 5000, "0x" + "f" * 5000]
)
def test_a_number_that_json_cannot_hold_is_refused(number: str) -> None:
    (problem,) = parse(f"a: [{number}]\n").problems
    assert "be recorded" in problem.message
    assert problem.column == 5


def test_a_whole_number_may_be_larger_than_any_other() -> None:
    assert parse(f"a: {'9' * 400}\n").value == {"a": 10**400 - 1}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            b"a: \xff\xfe",
            "1:4: error: the file is not UTF-8: byte 0xff\n  save it as UTF-8",
        ),
        (
            "é: 1\nb: \x01",
            "2:4: error: the character U+0001 is not allowed in YAML",
        ),
        ("a: 1\n---\nb: 2\n", "2:1: error: a second document begins here"),
        ("a: *b", "1:4: error: the alias *b has no anchor &b before it"),
        (
            "a: &b [1, *b]",
            "1:11: error: the alias *b stands for a value that it is part of",
        ),
        (
            "a:\n\t- b",
            "2:1: error: not valid YAML: found character that cannot start any token",
        ),
        (
            "a: @b",
            "1:4: error: not valid YAML: found character that cannot start any token",
        ),
        ("a: {b}/c\nd: 1", "1:7: error: not valid YAML: did not find expected key"),
        (
            "a: b: c",
            "1:5: error: not valid YAML: mapping values are not allowed in this context",
        ),
        (
            "a: 1\nb\nc: 2",
            "2:1: error: not valid YAML: could not find expected ':'",
        ),
        (
            "a: 1\nb: 'x\n\n",
            "2:4: error: not valid YAML: found unexpected end of stream",
        ),
        (
            "a: [1, 2\n\n",
            "1:9: error: not valid YAML: did not find expected ',' or ']'",
        ),
        (
            "a: 1\n b: 2",
            "2:3: error: not valid YAML: mapping values are not allowed in this context",
        ),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused_at_a_position(
    text: str | bytes, complaint: str
) -> None:
    document = parse(text)
    assert document.value is None
    assert said(document.problems[-1]).startswith(complaint)


def test_problems_before_a_syntax_error_are_reported_too() -> None:
    assert [
        problem.line for problem in parse("1: 2\na: 3\na: 4\nb: [").problems
    ] == [1, 3, 4]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: x" + " " * LARGEST, "a config has at most 1,048,576"),
        ("[" * 500_000, "nested deeper than 100 levels"),
        ("- " * 300_000, "nested deeper than 100 levels"),
        ("? " * 300_000, "nested deeper than 100 levels"),
        ("a: [" + "1," * (MOST + 1) + "]", "more than 100,000 values"),
        ("&a [x,x]\n", None),
        (
            "\n".join(
                [
                    "a0: &a0 [x,x,x,x]",
                    *(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]" for n in range(1, 30)),
                ]
            ),
            "more than",
        ),
        (
            "\n".join(
                ["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 150))]
            ),
            "nested deeper",
        ),
    ],
)
def test_bombs_are_refused(text: str, why: str | None) -> None:
    problems = parse(text).problems
    assert [why in problem.message for problem in problems] == (
        [True] if why else []
    )


def test_the_deepest_allowed_nesting() -> None:
    assert parse("[" * DEEPEST + "]" * DEEPEST).problems == ()
    assert parse("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)).problems != ()


def test_lines_are_counted_as_in_an_editor() -> None:
    document = parse("a: 1\r\nb: 2\rc: 3\nd: .inf")
    assert [
        (problem.line, problem.column, problem.excerpt)
        for problem in document.problems
    ] == [(4, 4, "d: .inf")]


def test_an_empty_file_has_no_value() -> None:
    for text in ("", "\n", "# only a comment\n", "---\n...\n"):
        assert (parse(text).value, parse(text).problems) == (None, ())
