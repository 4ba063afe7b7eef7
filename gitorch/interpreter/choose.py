"""Which Python a project's code runs with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gitorch.errors import ProgramMissing


def choose(python: str | None, root: Path, environ: Mapping[str, str]) -> str:
    """The path of the interpreter, as it is to be started.

    `python` is what the config says: a path from the repository's `root`, a virtual environment's directory, or a
    program on PATH. Without it: the active virtual or conda environment, a `.venv` of the repository, gitorch's own.
    Raises ProgramMissing.
    """
    if python is not None:
        return _named(python, root, environ)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if prefix := environ.get(variable):
            return _active(variable, Path(prefix))
    own = root / ".venv" / "bin" / "python"
    return str(own) if _can_start(own) else sys.executable


def _named(python: str, root: Path, environ: Mapping[str, str]) -> str:
    path = root / Path(python).expanduser()
    if path.is_dir():
        path = path / "bin" / "python"
    if _can_start(path):
        return str(path)
    if "/" not in python and (found := shutil.which(python, path=environ.get("PATH"))):
        return str(Path(found).absolute())
    looked = path if "/" in python else "PATH"
    raise ProgramMissing(
        f"there is no Python interpreter {python!r} (looked for {looked})",
        hint="`python:` is a path from the repository's root, a virtual environment, or a program on PATH",
    )


def _active(variable: str, prefix: Path) -> str:
    path = prefix / "bin" / "python"
    if _can_start(path):
        return str(path)
    raise ProgramMissing(
        f"{variable} is {str(prefix)!r}, but there is no Python in it",
        hint=f"activate another environment, or leave this one: unset {variable}",
    )


def _can_start(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
