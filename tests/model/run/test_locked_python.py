"""The values of `python:` that ask for the environment of a lock."""

from __future__ import annotations

import pytest

from gitorch.errors import UsageError
from gitorch.model.run.locked_python import LockedPython, is_locked, parse_locked


def test_options_choose_the_lock_the_python_and_what_is_installed() -> None:
    assert parse_locked("uv") == LockedPython(tool="uv")
    words = "uv --extra gpu --group=eval --no-dev --python >=3.11,<3.13 ./a/uv.lock"
    assert parse_locked(words) == LockedPython(
        tool="uv",
        file="a/uv.lock",
        python=">=3.11,<3.13",
        options=("--extra", "gpu", "--group", "eval", "--no-dev"),
    )
    assert parse_locked("conda my environment.yml") == LockedPython(
        tool="conda", file="my environment.yml"
    )


@pytest.mark.parametrize(
    "python", [None, "python3", ".venv", "./uv", "uv/bin/python"]
)
def test_other_values_name_an_interpreter(python: str | None) -> None:
    assert not is_locked(python)
    assert parse_locked(python) is None


@pytest.mark.parametrize(
    ("python", "fault"),
    [
        ("uv --extra", "needs a name after --extra"),
        ("uv --extra=-e", "needs a name after --extra"),
        ("uv a.toml b.toml", "names two files, a.toml and b.toml"),
        ("uv --with numpy", "has --with, which is none of --extra"),
        ("uv ../uv.lock", "must name a file in the repository"),
        ("conda /etc/environment.yml", "must name a file in the repository"),
        ("conda", "must name a file in the repository"),
    ],
)
def test_other_words_are_refused(python: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        parse_locked(python)


def test_the_files_of_a_lock_count_as_code() -> None:
    assert LockedPython(tool="uv", file="app/uv.lock").code == (
        "app/pyproject.toml",
        "app/uv.toml",
        "app/.python-version",
        "app/uv.lock",
    )
    assert LockedPython(tool="conda", file="a[b].yml").code == ("a[[]b].yml",)
