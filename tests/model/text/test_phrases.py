"""Words for numbers and lists."""

from __future__ import annotations

from gitorch.model.text.phrases import counted, some


def test_one_is_singular_and_none_is_not() -> None:
    assert [counted(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert [counted(count, "directory", "directories") for count in (1, 2)] == [
        "1 directory",
        "2 directories",
    ]


def test_of_many_names_the_rest_is_counted() -> None:
    assert some(["a", "b"], 2) == "a, b"
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
    assert some(["two\nlines"], 2) == "two\\nlines"
