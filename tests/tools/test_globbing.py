"""A glob names on disk the same files as in a list of names."""

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
    """Return the files that a glob names, and the files below the directories that it names."""
    starts = {root / name for name in named(root, pattern)}
    return {
        name
        for name in FILES
        if starts.intersection((root / name, *(root / name).parents))
    }


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
def test_a_glob_names_files_and_directories(root: Path, pattern: str) -> None:
    if ".." not in pattern:
        assert files(root, pattern) == {
            name for name in FILES if matcher(pattern).fullmatch(name)
        }
    else:
        assert list(named(root, pattern)) == [pattern]


def test_a_glob_follows_links_that_it_names(root: Path) -> None:
    (root / "link").symlink_to("src")
    (root / "around").symlink_to(root)
    (root / "broken").symlink_to("nowhere")
    assert set(named(root, "link/*.py")) == {"link/a.py", "link/[1].py"}
    assert "broken" in set(named(root, "*"))
    assert not any(
        "link/" in name or "around/" in name for name in named(root, "**/*.py")
    )


def test_a_directory_that_is_not_entered_has_no_matches(root: Path) -> None:
    found = set(named(root, "**/*.py", enters=lambda path: path != "src"))
    assert found == {"a.py", "tests/src/a.py"}
