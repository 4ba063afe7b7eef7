"""What an interpreter is, and whether it would run the pinned code.

A project that is installed editable (`pip install -e`) is imported from the main tree, whatever the worktree says: the
pin would lie. So the worktree's own source roots are put first on PYTHONPATH, and `verify` asks the interpreter whether
that is enough.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch import runner
from gitorch.errors import ProgramMissing, Refused
from gitorch.interpreter.answer_cache import clock_ns, load_answer, save_answer

_PROGRAM = Path(runner.__file__).with_name("probe_program.py")
_TIME_LIMIT_S = 60.0


class Interpreter(Struct, frozen=True, kw_only=True, eq=False):
    """A Python, as it described itself at one time; another answer is another one. All paths are absolute."""

    executable: str  # the interpreter itself, where `python` is a version manager's shim
    version: str
    implementation: str
    prefix: str
    packages: Mapping[str, str]
    path: tuple[str, ...]  # directories that modules are imported from
    mapped: Mapping[str, str]  # modules that editable installs serve by finders of their own
    projects: tuple[str, ...]  # directories of editable installs


def probe(
    python: str, *, cwd: Path, env: Mapping[str, str], memory: Path | None = None
) -> Interpreter:
    """Ask an interpreter what it is; `memory` is a directory of answers that still hold.

    Raises ProgramMissing if it does not start.
    """
    answer = load_answer(memory, python, cwd=cwd, env=env) if memory else None
    if answer is None:
        asked_ns = clock_ns()
        answer = _ask(python, [], cwd=cwd, env=env)
        if memory:
            save_answer(memory, python, answer, cwd=cwd, env=env, asked_ns=asked_ns)
    return Interpreter(
        executable=answer["executable"],
        version=answer["version"],
        implementation=answer["implementation"],
        prefix=answer["prefix"],
        packages=answer["packages"],
        path=tuple(answer["path"]),
        mapped=answer["mapped"],
        projects=tuple(answer["projects"]),
    )


@lru_cache(maxsize=8)  # asked for every attempt
def source_roots(interpreter: Interpreter, main_root: Path) -> tuple[str, ...]:
    """The directories, relative to the root, that modules of the main tree are imported from."""
    candidates = [
        *(Path(entry) for entry in interpreter.path),
        *(_directory_on_path(name, Path(path)) for name, path in interpreter.mapped.items()),
        *_roots_of_projects(interpreter),
    ]
    found = dict.fromkeys(
        root for path in candidates if (root := _below(path, main_root)) is not None
    )
    return tuple(root for root in found if not _is_of_environment(main_root / root, interpreter))


def verify(interpreter: Interpreter, tree: Path, main_root: Path, env: Mapping[str, str]) -> None:
    """Refuse if the code at `tree`, run with `env`, would import modules of the main tree instead of its own.

    Raises Refused. Costs nothing where the project is not installed editable.
    """
    roots = source_roots(interpreter, main_root)
    if not roots:
        return
    of_tree = {name for root in roots for name in _modules_in(tree / root)}
    of_tree |= {
        name
        for name, path in interpreter.mapped.items()
        if _below(Path(path), main_root) is not None
    }
    only_in_main = {name for root in roots for name in _modules_in(main_root / root)} - of_tree
    imported = of_tree | (only_in_main & _imported_by(tree, only_in_main))
    origins = _ask(interpreter.executable, sorted(imported), cwd=tree, env=env)["origins"]
    astray = {
        name: origin
        for name, origin in origins.items()
        if origin is not None
        and _below(Path(origin), tree) is None
        and _below(Path(origin), main_root) is not None
        and not _is_of_environment(Path(origin), interpreter)
    }
    if astray:
        name, origin = min(astray.items())
        more = f" (and {len(astray) - 1} more)" if len(astray) > 1 else ""
        raise Refused(
            f"the pinned code would import {name!r} from the working tree, {origin}{more}",
            hint=_hint(name, name in only_in_main, interpreter),
        )


def _hint(name: str, is_untracked: bool, interpreter: Interpreter) -> str:
    if is_untracked:
        return f"commit {name!r}, or remove it: it is not in the commit, but the project is installed editable"
    return f"install the project without -e: {interpreter.executable} -m pip install ."


def _ask(python: str, names: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> dict[str, Any]:
    hint = "see whether it starts by hand, or name another with `python:` under `gitorch:`"
    try:
        done = subprocess.run(
            [python, str(_PROGRAM), *names],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except OSError as error:
        raise ProgramMissing(f"{python} cannot be started: {error.strerror}", hint) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramMissing(
            f"{python} does not answer within {_TIME_LIMIT_S:g} s", hint
        ) from error
    try:
        # A .pth file may have printed something before.
        answer = json.loads(done.stdout[max(0, done.stdout.rfind(b'{"executable"')) :])
    except ValueError as error:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ProgramMissing(
            f"{python} is no Python that works: {said or 'it says nothing'}", hint
        ) from error
    if not isinstance(answer, dict):
        raise ProgramMissing(f"{python} is no Python that works", hint)
    return answer


def _directory_on_path(name: str, path: Path) -> Path:
    """What would have to be on sys.path for `name` to be found at `path`: `src` of `src/pkg/sub` for `pkg.sub`."""
    if path.name == "__init__.py":
        path = path.parent
    return path.parents[name.count(".")] if len(path.parents) > name.count(".") else path.parent


def _roots_of_projects(interpreter: Interpreter) -> Iterable[Path]:
    """Where the modules of a project usually are; for editable installs by finders that we know nothing of."""
    for project in interpreter.projects:
        source = Path(project) / "src"
        yield source if source.is_dir() else Path(project)


def _below(path: Path, root: Path) -> str | None:
    """The path relative to `root`, "." for the root itself; None if it is not in it. Symlinks are resolved."""
    real, real_root = os.path.realpath(path), os.path.realpath(root)
    relative = os.path.relpath(real, real_root)
    return None if relative == ".." or relative.startswith("../") else relative


def _is_of_environment(path: Path, interpreter: Interpreter) -> bool:
    """An environment may lie in the repository (`.venv`): what is installed in it is not of the main tree."""
    return _below(path, Path(interpreter.prefix)) is not None


def _modules_in(directory: Path) -> Iterable[str]:
    """The modules and packages that a directory on sys.path provides."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix == ".py" and entry.stem.isidentifier():
            yield entry.stem
        elif entry.name.isidentifier() and (entry / "__init__.py").is_file():
            yield entry.name


def _imported_by(tree: Path, names: set[str]) -> set[str]:
    """Those of `names` that some Python file in `tree` imports, as far as a search for import statements tells."""
    if not names:
        return set()
    statement = re.compile(
        rf"^\s*(?:import|from)\s+({'|'.join(map(re.escape, sorted(names)))})\b", re.MULTILINE
    )
    found: set[str] = set()
    for path in tree.rglob("*.py"):
        try:
            found |= set(statement.findall(path.read_text("utf-8", "replace")))
        except OSError:
            continue
    return found
