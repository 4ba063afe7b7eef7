"""The environment of an attempt."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitorch.interpreter.probe import Interpreter, source_roots
from gitorch.runner import standin

# With git's variables, as a hook or an alias has them, the git commands of a task would turn to the user's repository
# and index instead of the worktree; ours are of the attempt that gitorch itself may be running in.
_DROPPED = ("GIT_", "GITORCH_")

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
    """The caller's environment made the attempt's: the pinned code, the project's interpreter, gitorch's variables.

    `declared` is the config's `env`, which wins over the caller's; the PYTHONPATH of either is kept, behind ours, with
    what points into the main tree pointing into `tree`.
    """
    environment = {name: value for name, value in base.items() if not name.startswith(_DROPPED)}
    environment.update(declared)
    environment.update(_of_interpreter(interpreter, environment))
    environment["PYTHONUNBUFFERED"] = "1"  # what was printed is in the log even after kill -9
    environment["PYTHONPATH"] = os.pathsep.join(
        dict.fromkeys(
            [
                *(str(tree / root) for root in source_roots(interpreter, main_root)),
                STAND_IN,
                *_mapped(environment.get("PYTHONPATH", ""), main_root, tree),
            ]
        )
    )
    environment.update(gitorch)
    return environment


def _of_interpreter(interpreter: Interpreter, environment: Mapping[str, str]) -> dict[str, str]:
    """PATH begins with the interpreter's directory; VIRTUAL_ENV is the environment it is in."""
    bin_directory = str(Path(interpreter.executable).parent)
    path = [
        entry
        for entry in environment.get("PATH", os.defpath).split(os.pathsep)
        if entry != bin_directory
    ]
    changed = {"PATH": os.pathsep.join([bin_directory, *path])}
    if "VIRTUAL_ENV" in environment:
        changed["VIRTUAL_ENV"] = interpreter.prefix
    return changed


def _mapped(python_path: str, main_root: Path, tree: Path) -> Iterable[str]:
    for entry in filter(None, python_path.split(os.pathsep)):
        path = Path(entry)
        yield str(tree / path.relative_to(main_root)) if path.is_relative_to(main_root) else entry
