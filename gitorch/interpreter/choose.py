"""The choice of the Python interpreter that a project's code runs with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gitorch.errors import ProgramMissing

BROKEN_HINT = (
    "make the environment anew, for example with: python3 -m venv --clear .venv; "
    "or remove it, or name another Python with `python:` under `gitorch:`"
)


def choose(python: str | None, root: Path, environ: Mapping[str, str]) -> str:
    """Return the path of the interpreter to start.

    `python` is the setting in the config: a path relative to the repository's `root`, the directory
    of a virtual environment, or a program on PATH. Without it, the choice is the active virtual or
    conda environment, then `.venv` in the repository, then gitorch's own interpreter. Raises
    ProgramMissing if the interpreter does not exist, and if there is a `.venv` without one.
    """
    if python is not None:
        return _named(python, root, environ)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if prefix := environ.get(variable):
            return _active(variable, Path(prefix))
    environment = root / ".venv"
    of_repository = environment / "bin" / "python"
    if _can_start(of_repository):
        return str(of_repository)
    # A file of this name is another tool's pointer to an environment elsewhere.
    if os.path.lexists(environment) and not environment.is_file():
        raise ProgramMissing(
            f"{of_repository} is not a Python that can be started", BROKEN_HINT
        )
    return sys.executable


def _named(python: str, root: Path, environ: Mapping[str, str]) -> str:
    """Return the interpreter that a config names."""
    path = root / Path(python).expanduser()
    if path.is_dir():
        path = path / "bin" / "python"
    if _can_start(path):
        return str(path)
    if "/" in python:
        searched = str(path)
    else:
        searched = "PATH"
        program = shutil.which(python, path=environ.get("PATH"))
        if program:
            return str(Path(program).absolute())
    raise ProgramMissing(
        f"there is no Python interpreter {python!r} (looked for {searched})",
        hint="`python:` is a path from the repository's root, a virtual environment, "
        "or a program on PATH",
    )


def _active(variable: str, prefix: Path) -> str:
    """Return the interpreter of the active environment, which `variable` names."""
    path = prefix / "bin" / "python"
    if _can_start(path):
        return str(path)
    raise ProgramMissing(
        f"{variable} is {str(prefix)!r}, but there is no Python in it",
        hint=f"activate another environment, or deactivate this one: unset {variable}",
    )


def _can_start(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
