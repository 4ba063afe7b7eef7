"""A repository to try gitorch in: a small project with real data and a few experiments."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.creation import commit_everything, create_repository

# What lies in demo/ beside the project itself.
_NOT_COPIED = frozenset({"__init__.py", "__pycache__", "run"})


def create(directory: Path) -> Path:
    """Make `directory`, missing or empty, a repository with the demo project in one commit; give its absolute path.

    Raises Refused where something is there already.
    """
    directory = directory.absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused(
            f"{directory} is there already",
            "name a directory that does not exist yet: gitorch demo DIR",
        )
    directory.mkdir(parents=True, exist_ok=True)
    repository = create_repository(directory)
    _copy(importlib.resources.files("gitorch.demo"), directory)
    commit_everything(repository, "The penguins demo")
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
