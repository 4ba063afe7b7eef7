"""The value of `python:` that asks for an environment of its own, built from a lock in the pin.

`uv`, with options and a file, or `conda` and a file. Every other value names an interpreter.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from gitorch.errors import UsageError

_FLAGS = ("--all-extras", "--all-groups", "--no-default-groups", "--no-dev")
_WITH_NAME = ("--extra", "--group", "--no-group", "--only-group")
_PYTHON = "--python"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# A version or a range of versions, as uv understands it: 3.12, pypy@3.10, >=3.11,<3.13
_PYTHON_REQUEST = re.compile(r"[A-Za-z0-9<>=~!][\w.@+*<>=~!,-]*")


class LockedPython(Struct, frozen=True, kw_only=True):
    """An environment that a lock describes.

    `file` is the lock, relative to the root of the repository; None: the usual names are tried.
    `python` is the version to build it with; None: as the pin says, or the project's interpreter.
    `options` are words for `uv sync`, which choose extras and groups.
    """

    tool: Literal["uv", "conda"]
    file: str | None = None
    python: str | None = None
    options: tuple[str, ...] = ()

    @property
    def code(self) -> tuple[str, ...]:
        """The globs of the files that decide what is installed. They count as code."""
        if self.tool == "conda":
            return (re.sub(r"([*?\[])", r"[\1]", self.file or ""),)
        directory = posixpath.dirname(self.file or "")
        names = ["pyproject.toml", "uv.toml", ".python-version"]
        if self.file is None:
            names += ["uv.lock", "pylock.toml", "requirements*.txt"]
        else:
            names.append(posixpath.basename(self.file))
        return tuple(posixpath.join(directory, name) for name in names)


def is_locked(python: str | None) -> bool:
    """Return True if a value of `python:` asks for an environment that is built from a lock."""
    return python is not None and python.split()[:1] in (["uv"], ["conda"])


@lru_cache(maxsize=64)  # needed for every attempt
def parse_locked(python: str | None) -> LockedPython | None:
    """Return the environment that a value of `python:` asks for, None if it names an interpreter.

    Raises UsageError.
    """
    if python is None or not is_locked(python):
        return None
    tool, *words = python.split()
    try:
        if tool == "uv":
            return _parse_uv(words)
        return LockedPython(tool="conda", file=_file(" ".join(words)))
    except ValueError as error:
        raise UsageError(
            f"python: '{python}' {error}",
            "python: uv, or with options: python: uv --extra NAME LOCK",
        ) from None


def _parse_uv(words: list[str]) -> LockedPython:
    options: list[str] = []
    file = python = None
    remaining = iter(words)
    for word in remaining:
        name, _, value = word.partition("=")
        if word in _FLAGS:
            options.append(word)
        elif name in (*_WITH_NAME, _PYTHON):
            value = value or next(remaining, "")
            allowed = _PYTHON_REQUEST if name == _PYTHON else _NAME
            if not allowed.fullmatch(value):
                raise ValueError(f"needs a name after {name}")
            if name == _PYTHON:
                python = value
            else:
                options += [name, value]
        elif word.startswith("-"):
            known = ", ".join((*_WITH_NAME, *_FLAGS, _PYTHON))
            raise ValueError(f"has {word}, which is none of {known}")
        elif file is not None:
            raise ValueError(f"names two files, {file} and {word}")
        else:
            file = _file(word)
    return LockedPython(tool="uv", file=file, python=python, options=tuple(options))


def _file(written: str) -> str:
    path = posixpath.normpath(written)
    if path.startswith(("/", "../")) or path in (".", ".."):
        raise ValueError("must name a file in the repository, relative to its root")
    return path
