"""What `{name}` in a command becomes, and that the shell reads exactly this value."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitorch.model.text.placeholders import (
    Placeholder,
    fill,
    fill_text,
    is_known,
    placeholders,
)

VALUES = {
    "lr": 0.1,
    "name": "a b",
    "flag": True,
    "none": None,
    "list": [1, "x y"],
    "model": {"depth": {"max": 3}},
    "größe": 7,
}


def sh(command: str) -> str:
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, check=True
    ).stdout.decode()


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("train --lr {lr}", "train --lr 0.1"),
        ("echo {name}/{name}", "echo 'a b'/'a b'"),
        ("echo {flag} {none}", "echo true null"),
        ("echo {list}", "echo '[1, \"x y\"]'"),
        ("echo {model}", 'echo \'{"depth": {"max": 3}}\''),
        ("echo {model.depth.max}{größe}", "echo 37"),
        ("awk '{ print $1 }' {lr}", "awk '{ print $1 }' 0.1"),
        ("echo ${HOME} ${name} $${name}", "echo ${HOME} ${name} $${name}"),
        (
            "echo {} {1} {a,b} {1..3} {lr} {-x} {a b}",
            "echo {} {1} {a,b} {1..3} 0.1 {-x} {a b}",
        ),
        ("echo {{lr}}", "echo {0.1}"),
        (r"echo \{name} \\{name}", r"echo \{name} \\'a b'"),
        (
            "echo {lr} # it's {unknown}\necho {lr}",
            "echo 0.1 # it's {unknown}\necho 0.1",
        ),
        ("echo a#{lr}", "echo a#0.1"),
    ],
)
def test_a_string_is_filled_in_for_the_shell(command: str, filled: str) -> None:
    assert fill(command, VALUES) == filled


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("echo {{lr}}{lr}", "echo {lr}0.1"),
        ("awk '{{lr}}' \"{{model.depth}}\"", "awk '{lr}' \"{model.depth}\""),
        (
            "docker --format '{{.Names}}' {{ lr }}",
            "docker --format '{{.Names}}' {{ lr }}",
        ),
        ("echo {{{lr}}} ${{lr}}", "echo {{0.1}} ${0.1}"),
        ("cat <<END\n{{lr}}\nEND", "cat <<END\n{lr}\nEND"),
    ],
)
def test_double_braces_stand_for_braces(command: str, filled: str) -> None:
    assert fill(command, VALUES, double_braces=True) == filled


def test_double_braces_in_a_list_and_in_an_earlier_record() -> None:
    assert fill(["{{lr}}", "{lr}"], VALUES, double_braces=True) == ("{lr}", "0.1")
    assert fill(["{{lr}}", "{lr}"], VALUES) == ("{0.1}", "0.1")
    assert placeholders("echo {{lr}}") == [Placeholder("lr", 6, 10)]
    assert placeholders("echo {{lr}}", double_braces=True) == []


@pytest.mark.parametrize(
    "command",
    [
        "curl -w '%{http_code}' x",
        "python3 -c \"x = 1; print(f'{x}')\"",
        "echo '{a}' | jq '{a}'",
        "cat <<END\n{unknown}\nEND",
    ],
)
def test_an_unknown_name_inside_quotes_stays(command: str) -> None:
    assert fill(command, VALUES) == command


def test_a_list_is_filled_in_without_quoting() -> None:
    assert fill(["{name}", "--lr={lr}", "'{name}'", "# {lr}"], VALUES) == (
        "a b",
        "--lr=0.1",
        "'a b'",
        "# 0.1",
    )


def test_a_text_is_filled_in_without_quoting() -> None:
    assert fill_text("out/{name}/{lr}", VALUES) == "out/a b/0.1"


@pytest.mark.parametrize("name", ["nme", "lr.x", "model.width", "list.x"])
def test_a_name_without_a_value_is_unknown(name: str) -> None:
    assert not is_known(name, VALUES)
    with pytest.raises(KeyError):
        fill(f"echo {{{name}}}", VALUES)


@pytest.mark.parametrize(
    "command",
    [
        "echo '{lr}'",
        'echo "{lr}"',
        "echo 'a'\"b {lr}\"",
        'echo "it\'s {lr}"',
        'echo "$(echo "{lr}")"',
        'echo `echo "{lr}"`',
        'echo "\\"{lr}"',
        "echo '{lr}",
        "cat <<END\n{lr}\nEND",
        "cat <<-'END'\n{lr}\n\tEND\n",
        "cat <<A; cat <<B\nA\n{lr}\nB\n",
    ],
)
def test_a_placeholder_inside_quotes_is_marked(command: str) -> None:
    assert [hole.quoted for hole in placeholders(command)] == [True]


@pytest.mark.parametrize(
    "command",
    [
        "echo 'a'{lr}'b'",
        'echo "a"{lr}"b"',
        "echo \\'{lr}\\'",
        'echo \\"{lr}',
        'echo "$(echo {lr})"',
        'echo "$(echo $(echo {lr}; (true)) {lr})"',
        'echo "`echo {lr}`"',
        "cat <<END > {lr}\ntext\nEND",
        "cat <<END\ntext\nEND\necho {lr}",
        "cat <<< {lr}\necho {lr}",
        "(echo 'a') && echo {lr} # 'it\n",
        "echo ')' {lr}",
    ],
)
def test_a_placeholder_outside_of_quotes_is_not_marked(command: str) -> None:
    found = placeholders(command)
    assert found
    assert not any(hole.quoted for hole in found)


def test_placeholders_have_offsets_and_the_number_of_their_word() -> None:
    assert placeholders("a {b} ${c}") == [Placeholder("b", 2, 5)]
    assert placeholders(["x", "a {b}"]) == [Placeholder("b", 2, 5, item=1)]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=50, deadline=None)
@given(value=TEXT)
def test_the_shell_reads_back_every_value(value: str) -> None:
    assert sh(
        fill(
            'printf "%s" {value}; printf "<%s>" "$(printf "%s." {value})"',
            {"value": value},
        )
    ) == (f"{value}<{value}.>")


@settings(max_examples=300, deadline=None)
@given(command=st.text(st.sampled_from("ab {}'\"\\$()`#<-\nE"), max_size=40))
def test_any_text_can_be_searched_for_placeholders(command: str) -> None:
    found = placeholders(command)
    assert [command[hole.start : hole.end] for hole in found] == [
        f"{{{hole.name}}}" for hole in found
    ]
    assert fill(command, {hole.name: hole.name for hole in found}).count(
        "{"
    ) == command.count("{") - len(found)
