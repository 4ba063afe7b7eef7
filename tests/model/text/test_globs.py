"""Which paths a glob names."""

from __future__ import annotations

import pytest

from gitorch.model.text.globs import first_match, flaw, is_glob, matcher


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("src", "src", True),
        ("src", "src/model.py", True),
        ("src/", "src/deep/model.py", True),
        ("src", "srcs/model.py", False),
        ("src", "lib/src", False),
        ("*.py", "Tasks.py", True),
        ("*.py", "src/model.py", False),
        ("*.py", ".hidden.py", True),
        ("**/*.py", "Tasks.py", True),
        ("**/*.py", "src/deep/model.py", True),
        ("src/**", "src/deep/model.py", True),
        ("src/**/model.py", "src/model.py", True),
        ("src/**/model.py", "src/a/b/model.py", True),
        ("src/*/model.py", "src/a/b/model.py", False),
        (".", "anything/at/all", True),
        ("**", "anything/at/all", True),
        ("data/part-[0-9].csv", "data/part-7.csv", True),
        ("data/part-[!0-9].csv", "data/part-7.csv", False),
        ("data[/]x", "data/x", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a[c", "a[c", True),
        ("a.c", "abc", False),
        ("line\nbreak*", "line\nbreak.txt", True),
        ("[]a]", "]", True),
        ("[^a]", "^", True),
        ("[\\]", "\\", True),
        ("[+--]", ",", True),
    ],
)
def test_a_glob_names_paths(pattern: str, path: str, named: bool) -> None:
    assert bool(matcher(pattern).fullmatch(path)) is named


def test_the_first_glob_that_names_a_path() -> None:
    assert first_match("ckpt/1.pt", ["*.txt", "ckpt", "ckpt/*.pt"]) == "ckpt"
    assert first_match("log.txt", ["ckpt"]) is None


def test_a_text_with_wildcards_is_a_glob() -> None:
    assert is_glob("data/*.csv")
    assert not is_glob("data/one.csv")


def test_the_flaw_of_an_invalid_glob() -> None:
    assert flaw("data/[z-a].csv") == "bad character range z-a"
    assert flaw("[9--]") is not None
    assert flaw("data/[a-z].csv") is None
