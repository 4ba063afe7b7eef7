"""A glob finds on disk what it means by the names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.model.text.globs import matcher
from gitorch.tools.globbing import named

FILES = (
    "a.py",
    ".hidden",
    "src/a.py",
    "src/deep/b.py",
    "src/deep/er/c.txt",
    "src/[1].py",
    "tests/src/a.py",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def files(root: Path, pattern: str) -> set[str]:
    """The files that a glob names, and those below the directories that it does."""
    starts = {root / name for name in named(root, pattern)}
    return {name for name in FILES if starts.intersection((root / name, *(root / name).parents))}


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "a.py",
            "*.py",
            "*",
            ".",
            "**",
            "src",
            "src/*",
            "src/**",
            "**/*.py",
            "src/**/*.py",
            "**/src/**/*.py",
            "**/deep",
        ),
        *(
            "src/deep/../a.py",
            "*/a.py",
            "src/[[]1].py",
            "s?c/[a-z].py",
            "nothing",
            "a.py/b",
            "**/**/c.txt",
            ".h*",
        ),
    ],
)
def test_what_is_named(root: Path, pattern: str) -> None:
    if ".." not in pattern:
        assert files(root, pattern) == {name for name in FILES if matcher(pattern).fullmatch(name)}
    else:
        assert list(named(root, pattern)) == [pattern]


def test_links_are_followed_where_the_glob_leads_through_them(root: Path) -> None:
    (root / "link").symlink_to("src")
    (root / "around").symlink_to(root)
    (root / "broken").symlink_to("nowhere")
    assert set(named(root, "link/*.py")) == {"link/a.py", "link/[1].py"}
    assert "broken" in set(named(root, "*"))
    assert not any("link/" in name or "around/" in name for name in named(root, "**/*.py"))


def test_what_is_not_entered(root: Path) -> None:
    found = set(named(root, "**/*.py", enters=lambda path: path != "src"))
    assert found == {"a.py", "tests/src/a.py"}
