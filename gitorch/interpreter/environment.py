"""The environment variables of an attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from gitorch.interpreter.probe import Interpreter, source_root, source_roots
from gitorch.runner import standin

# Git sets GIT_ variables for hooks and aliases. With them, the git commands of a task would use the
# user's repository and index instead of the worktree. If gitorch itself runs inside an attempt, the
# GITORCH_ variables belong to that attempt.
_DROPPED = ("GIT_", "GITORCH_")

# The values of variables that are not set. Without a fixed seed, the order of a set of texts is
# another one in every process.
DEFAULTS = {"PYTHONHASHSEED": "0"}

STAND_IN = str(Path(standin.__file__).parent)


def attempt_environment(
    base: Mapping[str, str],
    *,
    interpreter: Interpreter,
    tree: Path,
    main_root: Path,
    declared: Mapping[str, str],
    gitorch: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of an attempt, which runs the pinned code with the interpreter.

    `base` is the caller's environment, which overrides DEFAULTS. `declared` is the config's `env`,
    which overrides `base`.
    `gitorch` holds gitorch's own variables, which override both. The PYTHONPATH of the caller or
    the config follows the pinned code. Its paths in the main tree become paths in `tree`. The
    stand-in is last.
    """
    environment = {**_inherited(tuple(base.items())), **declared}
    environment.update(_interpreter_variables(interpreter, environment))
    environment["PYTHONUNBUFFERED"] = (
        "1"  # so that output is in the log even after kill -9
    )
    given_python_path = environment.get("PYTHONPATH", "")
    python_path = [
        str(source_root(tree / project)) for project in interpreter.not_installed
    ]
    for root in source_roots(interpreter, main_root):
        python_path.append(str(tree / root))
    python_path += _moved_entries(given_python_path, main_root, tree)
    python_path.append(STAND_IN)
    without_duplicates = dict.fromkeys(python_path)
    environment["PYTHONPATH"] = os.pathsep.join(without_duplicates)
    environment.update(gitorch)
    return environment


@lru_cache(maxsize=4)  # the attempts of a worker have the same
def _inherited(base: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return the variables of the caller that an attempt gets, and the DEFAULTS."""
    environment = dict(DEFAULTS)
    for name, value in base:
        # A caller can pass an entry without a name, which cannot be passed on.
        if name and not name.startswith(_DROPPED):
            environment[name] = value
    return environment


def _interpreter_variables(
    interpreter: Interpreter, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return a PATH that begins with the interpreter's directory, and its VIRTUAL_ENV."""
    bin_directory = str(Path(interpreter.executable).parent)
    entries = environment.get("PATH", os.defpath).split(os.pathsep)
    others = [entry for entry in entries if entry != bin_directory]
    variables = {"PATH": os.pathsep.join([bin_directory, *others])}
    if "VIRTUAL_ENV" in environment:
        variables["VIRTUAL_ENV"] = interpreter.prefix
    return variables


def _moved_entries(python_path: str, main_root: Path, tree: Path) -> Iterator[str]:
    """Yield the entries of a PYTHONPATH, with those in the main tree moved to `tree`."""
    for entry in filter(None, python_path.split(os.pathsep)):
        path = Path(entry)
        if path.is_relative_to(main_root):
            yield str(tree / path.relative_to(main_root))
        else:
            yield entry
