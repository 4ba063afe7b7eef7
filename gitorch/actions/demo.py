"""`gitorch demo`: create a repository for trying gitorch, with real data and a few experiments."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.creation import commit_everything, create_repository

# Files in demo/ that are not part of the project.
_NOT_COPIED = frozenset({"__init__.py", "__pycache__", "pictures", "run"})


def create(directory: Path) -> Path:
    """Create a repository that contains the demo project in one commit. Return its absolute path.

    `directory` must be missing or empty.
    Raises Refused if there is something at this path.
    """
    directory = directory.absolute()
    if directory.exists() and not _is_empty_directory(directory):
        raise Refused(
            f"{directory} exists already",
            "name a directory that does not exist yet: gitorch demo DIR",
        )
    directory.mkdir(parents=True, exist_ok=True)
    repository = create_repository(directory)
    _copy(importlib.resources.files("gitorch.demo"), directory)
    commit_everything(repository, "The penguins demo")
    return directory


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _copy(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.name in _NOT_COPIED:
            continue
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
