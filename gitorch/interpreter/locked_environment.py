"""The construction of environments from locks, by uv, micromamba, mamba or conda.

The commands and their variables are values; `build` runs them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

from gitorch.errors import ProgramMissing, Refused
from gitorch.interpreter.lock_files import (
    LocalProject,
    Lock,
    satisfies,
    without_projects,
)
from gitorch.tools.programs import run_program

_CONDA = ("micromamba", "mamba", "conda")
# Variables that choose another project, environment, Python or set of packages than the lock does.
_CHOOSING = re.compile(
    r"VIRTUAL_ENV|CONDA_PREFIX|PYTHON(HOME|PATH)|GIT_.*|GITORCH_.*"
    r"|UV_(PROJECT|PROJECT_ENVIRONMENT|WORKING_DIR(ECTORY)?|PYTHON|SYSTEM_PYTHON|FROZEN|LOCKED"
    r"|NO_SYNC|ISOLATED|DEV|NO_DEV|GROUP|NO_GROUP|NO_DEFAULT_GROUPS|EXTRA|NO_EDITABLE"
    r"|NO_INSTALL_.*|CONSTRAINT|OVERRIDE|BUILD_CONSTRAINT|EXCLUDE_NEWER|PRERELEASE|RESOLUTION"
    r"|REQUIRE_HASHES|NO_VERIFY_HASHES|VENV_.*|BREAK_SYSTEM_PACKAGES)"
)
_MOST_LINES = 40  # of the message of a program
# Lines in which uv says what it does, before it says what is wrong.
_PROGRESS = re.compile(
    r"(Using|Creating|Resolved|Prepared|Downloaded|Downloading|Building|Built|Installed"
    r"|Uninstalled|Updating|Updated)\b|warning: .*(experimental|preview)"
)


class Python(NamedTuple):
    """The interpreter that an environment is built with: its path, or the words that uv finds."""

    path: str | None
    request: str | None = None


class Program(NamedTuple):
    """A program that builds environments: its name and its path."""

    name: str
    path: str


def find_program(tool: str, environ: Mapping[str, str]) -> Program:
    """Return the program that builds the environments of `tool`. Raises ProgramMissing."""
    if tool == "uv":
        return Program("uv", _find_uv(environ))
    for name in _CONDA:
        path = shutil.which(name, path=environ.get("PATH"))
        if path:
            return Program(name, path)
    raise ProgramMissing(
        f"`conda:` needs one of {', '.join(_CONDA)}, and none of them is on PATH",
        "install micromamba: https://mamba.readthedocs.io; or use `python: uv`",
    )


def python_for(lock: Lock, chosen: str, version: str) -> Python:
    """Return the Python for a lock, if `chosen` with this version is the project's interpreter.

    That one is used unless the config, the pin or the lock asks for another version.
    """
    if lock.kind == "conda":
        return Python(None)
    if lock.python is not None:
        return Python(None, lock.python)
    if lock.requires and not satisfies(version, lock.requires):
        return Python(None, lock.requires)
    return Python(os.path.realpath(chosen))


class Construction(NamedTuple):
    """The facts on which the construction of an environment depends.

    `target` does not exist yet. `tree` is a worktree of the pin; a file may be added beside the
    lock. `projects` are not installed, and `options` are words for `uv sync`.
    """

    program: Program
    lock: Lock
    target: Path
    tree: Path
    python: Python
    projects: Sequence[LocalProject]
    options: Sequence[str]
    environ: Mapping[str, str]
    # Inherited by the program, so that a lock is held until the program has ended.
    pass_fds: Sequence[int]

    @property
    def directory(self) -> Path:
        return self.tree / self.lock.directory


def build(construction: Construction) -> None:
    """Build an environment in its `target`.

    Raises Refused with the program's own message, OSError, UserInterrupted.
    """
    variables = _variables(construction.environ, construction.target)
    # What is in uv's cache is taken from there, without a question to the network.
    asks_cache = construction.program.name == "uv" and "UV_OFFLINE" not in variables
    for command in _commands(construction, variables):
        if asks_cache:
            offline = {**variables, "UV_OFFLINE": "1"}
            if _run(construction, command, offline).returncode == 0:
                continue
        completed = _run(construction, command, variables)
        if completed.returncode:
            raise _failed(construction, completed)


def _run(
    construction: Construction,
    command: Sequence[str],
    variables: Mapping[str, str],
    cwd: Path | None = None,
) -> CompletedProcess[bytes]:
    name = construction.program.name
    return run_program(
        command,
        cwd=cwd or construction.directory,
        env=variables,
        awaited=f"{name} to build the environment of {construction.lock.path}",
        pass_fds=construction.pass_fds,
    )


def _commands(
    construction: Construction, variables: Mapping[str, str]
) -> Iterator[list[str]]:
    """Yield the commands that build the environment."""
    if construction.lock.kind == "conda":
        yield _conda_command(construction)
        return
    python = construction.python.path
    if python is None:
        python = _find_python(construction, variables)
    if construction.lock.kind == "uv":
        yield _sync_command(construction, python)
    else:
        yield from _pip_commands(construction, python)


def _find_python(construction: Construction, variables: Mapping[str, str]) -> str:
    """Return the path of the Python that the config, the pin or the lock asks for."""
    uv = construction.program.path
    find = [uv, "python", "find", "--no-project", "--system"]
    completed = _run(
        construction,
        [*find, construction.python.request or ""],
        variables,
        # Not in the worktree, where a program of pyenv would read `.python-version` itself.
        cwd=construction.target.parent,
    )
    if completed.returncode:
        hint = "install it, for example with: uv python install VERSION"
        raise _failed(construction, completed, hint)
    return completed.stdout.decode("utf-8", "replace").strip()


def _find_uv(environ: Mapping[str, str]) -> str:
    try:
        from uv import find_uv_bin  # noqa: PLC0415  an extra, needed to build an environment

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        path = shutil.which("uv", path=environ.get("PATH"))
    if path is None:
        raise ProgramMissing(
            "`python: uv` needs the program uv, which is not installed",
            "pip install '.[uv]' in a clone of gitorch, or put uv on PATH: pip install uv",
        )
    return path


def _variables(environ: Mapping[str, str], target: Path) -> dict[str, str]:
    """Return the variables for the program. The user's choice of cache and index stays."""
    env = {}
    for name, value in environ.items():
        if name and not _CHOOSING.fullmatch(name):
            env[name] = value
    env.setdefault("UV_PYTHON_DOWNLOADS", "never")
    env.setdefault("UV_PREVIEW_FEATURES", "pylock")
    env["UV_PROJECT_ENVIRONMENT"] = str(target)
    env["UV_NO_PROGRESS"] = "1"
    env["CONDA_ALWAYS_YES"] = env["MAMBA_ALWAYS_YES"] = "true"
    return env


def _sync_command(construction: Construction, python: str) -> list[str]:
    left_out = []
    for project in construction.projects:
        left_out += ["--no-install-package", project.name or ""]
    sync = [construction.program.path, "sync", "--frozen", "--python", python]
    return [*sync, *left_out, *construction.options]


def _pip_commands(construction: Construction, python: str) -> Iterator[list[str]]:
    lock = construction.lock
    uv = construction.program.path
    target = construction.target
    yield [uv, "venv", "--no-project", "--python", python, str(target)]
    file = Path(lock.path).name
    if construction.projects:
        # Only pylock.toml and pylock.NAME.toml are read as PEP 751.
        suffix = "gitorch.toml" if lock.kind == "pylock" else "gitorch.txt"
        file = f"{lock.kind}.{suffix}"
        (construction.directory / file).write_bytes(without_projects(lock))
    hashes = ["--require-hashes"] if lock.kind == "requirements" else []
    own = str(target / "bin" / "python")
    yield [uv, "pip", "sync", "--python", own, *hashes, file]


def _conda_command(construction: Construction) -> list[str]:
    program, target = construction.program, construction.target
    verb = ["create"] if program.name == "micromamba" else ["env", "create"]
    file = construction.directory / Path(construction.lock.path).name
    return [program.path, *verb, "--prefix", str(target), "--file", str(file)]


def _failed(
    construction: Construction,
    completed: CompletedProcess[bytes],
    hint: str = "make the lock anew, or make available what it names",
) -> Refused:
    output = completed.stderr or completed.stdout
    lines = []
    for line in output.decode("utf-8", "replace").splitlines():
        if line.strip() and not _PROGRESS.match(line):
            lines.append(line.rstrip())
    text = "\n".join(lines[-_MOST_LINES:])
    name, path = construction.program.name, construction.lock.path
    return Refused(f"{name} cannot build the environment of {path}:\n{text}", hint)
