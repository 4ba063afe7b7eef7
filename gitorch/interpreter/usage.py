"""Whether the tasks of a run use Python, as far as the config and the files that it names say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gitorch.interpreter.probe import Interpreter
from gitorch.model.run.spec import RunSpec
from gitorch.tools.untrusted import read_plain

_LARGEST_SCRIPT = 256 << 10  # bytes
_MOST_WORDS = 1000  # of all commands together
# The words of a command, of which some are names of files and programs.
_WORD = re.compile(r"[\w./+-]+")
_PYTHON = re.compile(
    rb"\bpython|\.py\b|\b(?:pip|pytest|jupyter|torchrun|accelerate|uv) "
)
# The files that programs read without being told their names.
_IMPLIED = {"make": ("Makefile", "makefile", "GNUmakefile"), "just": ("justfile",)}


def uses_python(spec: RunSpec, interpreter: Interpreter, tree: Path) -> bool:
    """Return True if a task is a class, or if a command leads to Python.

    A command does so if it names Python or a program of the interpreter's virtual environment, or
    if it names a file in the worktree `tree` that names Python.
    """
    if spec.names_python:
        return True
    programs = _programs(interpreter)
    for word in _words(spec):
        if programs is not None and "/" not in word and (programs / word).exists():
            return True
        for name in (word, *_IMPLIED.get(word, ())):
            if _names_python(tree, name):
                return True
    return False


def _programs(interpreter: Interpreter) -> Path | None:
    """Return the directory of the programs of a virtual environment."""
    if (Path(interpreter.prefix) / "pyvenv.cfg").exists():
        return Path(interpreter.executable).parent
    return None


def _words(spec: RunSpec) -> Iterator[str]:
    commands: list[str] = []
    for task in spec.tasks:
        match task.command:
            case str(command):
                commands.append(command)
            case tuple(arguments):
                commands += arguments
    words = dict.fromkeys(_WORD.findall("\n".join(commands)))
    yield from list(words)[:_MOST_WORDS]


def _names_python(tree: Path, name: str) -> bool:
    if name.startswith("/") or ".." in name:
        return False
    try:
        text = read_plain(tree / name, _LARGEST_SCRIPT, below=tree)
    except (OSError, ValueError):
        return False
    return _PYTHON.search(text) is not None
