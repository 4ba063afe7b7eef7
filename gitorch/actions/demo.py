"""`gitorch demo`: create a repository for trying gitorch, with real data and a few experiments."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.command import call_git
from gitorch.git.repository import Repository

# Files in demo/ that are not part of the project.
_NOT_COPIED = frozenset({"__init__.py", "__pycache__", "run"})
# gitorch supports this format, which the user's defaults might not be.
_FORMAT = {"GIT_DEFAULT_HASH": "sha1", "GIT_DEFAULT_REF_FORMAT": "files"}


def create(directory: Path) -> Path:
    """Create a repository that contains the demo project in one commit. Return its absolute path.

    `directory` must be missing or empty.
    Raises Refused if there is something at this path.
    """
    directory = directory.absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused(
            f"{directory} exists already",
            "name a directory that does not exist yet: gitorch demo DIR",
        )
    directory.mkdir(parents=True, exist_ok=True)
    call_git(directory, "init", "--quiet", "--template=", env=_FORMAT)
    _copy(importlib.resources.files("gitorch.demo"), directory)
    name, email = Repository.discover(directory).signature()
    quiet = (
        "-c",
        f"user.name={name}",
        "-c",
        f"user.email={email}",
        "-c",
        "core.hooksPath=/dev/null",
    )
    call_git(directory, "add", "--force", "--all")  # the user's own ignore rules may name *.csv
    call_git(
        directory, *quiet, "commit", "--quiet", "--no-gpg-sign", "--message", "The penguins demo"
    )
    return directory


def _copy(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.name in _NOT_COPIED:
            continue
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
