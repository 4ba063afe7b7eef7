"""The facts about an interpreter, and a check that it would run the pinned code.

A project that is installed editable (`pip install -e`) is imported from the main tree and not from
the worktree, so a run would not execute its pin. The PYTHONPATH of attempts therefore begins with
the source roots of the worktree. `verify` checks with the interpreter that this is enough.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gitorch import runner
from gitorch.errors import ProgramMissing, Refused
from gitorch.interpreter.answer_cache import clock_ns, load_answer, save_answer
from gitorch.interpreter.installed_project import (
    Copy,
    copies,
    only_in_copy,
    own_name,
    roots_of_copy,
)
from gitorch.tools.anonymous import anonymous_file
from gitorch.tools.programs import TookTooLong, run_program

_PROGRAM = Path(runner.__file__).with_name("probe_program.py")
_MODULES = (".py", ".so")
_MOST_EXAMINED = 10_000  # entries; a directory of data can look like a package
_TIME_LIMIT_S = 60.0
_START_HINT = (
    "try to start it by hand, or name another with `python:` under `gitorch:`"
)


class Interpreter(Struct, frozen=True, kw_only=True, eq=False):
    """A Python interpreter as it described itself at one time. All paths are absolute.

    Two instances are never equal, so that results can be cached by the identity of an instance.
    """

    executable: (
        str  # the interpreter itself, even if a version manager's shim started it
    )
    version: str
    implementation: str
    prefix: str
    packages: Mapping[str, str]
    path: tuple[str, ...]  # directories that modules are imported from
    mapped: Mapping[
        str, str
    ]  # paths of modules that the finders of editable installs find
    projects: tuple[str, ...]  # directories of editable installs
    # Projects that are not installed, but are imported from the worktree. The paths are relative to
    # the root of the repository.
    not_installed: tuple[str, ...] = ()
    # The origins of distributions that do not come from an index: see probe_program.py.
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def probe(
    python: str, *, cwd: Path, env: Mapping[str, str], memory: Path | None = None
) -> Interpreter:
    """Ask an interpreter to describe itself, or return its cached answer.

    `memory` is the directory of cached answers; without it, the interpreter is always asked. Raises
    ProgramMissing if the interpreter does not start.
    """
    answer = None
    if memory:
        answer = load_answer(memory, python, cwd=cwd, env=env)
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
        sources=answer["sources"],
    )


@lru_cache(maxsize=8)  # needed for every attempt
def source_roots(interpreter: Interpreter, main_root: Path) -> tuple[str, ...]:
    """Return the directories of the main tree that modules are imported from.

    The directories are relative to `main_root`.
    """
    candidates = list(map(Path, interpreter.path))
    for name, module_path in interpreter.mapped.items():
        candidates.append(_directory_on_path(name, Path(module_path)))
    candidates += _roots_of_projects(interpreter, main_root)
    for copy in _copies(interpreter, main_root):
        candidates += roots_of_copy(copy, main_root)
    roots: dict[str, None] = {}
    for path in candidates:
        root = _relative_to(path, main_root)
        if root is not None and not _is_in_environment(
            main_root / root, interpreter
        ):
            roots[root] = None
    return tuple(roots)


def verify(
    interpreter: Interpreter, tree: Path, main_root: Path, env: Mapping[str, str]
) -> None:
    """Check that the code in `tree`, run with `env`, imports no modules of the main tree.

    Modules of a copy of the project that is installed are not imported either. Raises Refused
    otherwise. The interpreter is started only if the project is installed.
    """
    _require_no_copy(interpreter, tree, main_root)
    roots = source_roots(interpreter, main_root)
    if not roots:
        return
    in_tree: set[str] = set()
    in_main: set[str] = set()
    for root in roots:
        in_tree.update(_modules_in(tree / root))
        in_main.update(_modules_in(main_root / root))
    for name, path in interpreter.mapped.items():
        if _relative_to(Path(path), main_root) is not None:
            in_tree.add(name)
    only_in_main = in_main - in_tree
    for root in roots:
        only_in_main.update(_only_in_main(main_root / root, tree / root))
    imported = in_tree | _imported_by(tree, only_in_main)
    answer = _ask(interpreter.executable, sorted(imported), cwd=tree, env=env)
    wrong_origins: dict[str, str] = {}
    for name, origin in answer["origins"].items():
        if origin is None:
            continue
        if _is_in_main(Path(origin), tree, main_root, interpreter):
            wrong_origins[name] = origin
    if wrong_origins:
        name, origin = min(wrong_origins.items())
        more = ""
        if len(wrong_origins) > 1:
            more = f" (and {len(wrong_origins) - 1} more)"
        raise Refused(
            f"the pinned code would import {name!r} from the working tree, {origin}{more}",
            hint=_hint(name, origin, is_uncommitted=name in only_in_main),
        )


def _is_in_main(
    path: Path, tree: Path, main_root: Path, interpreter: Interpreter
) -> bool:
    """Return True if a path is in the main tree, but not in the worktree or the environment."""
    if _relative_to(path, tree) is not None:
        return False
    if _relative_to(path, main_root) is None:
        return False
    return not _is_in_environment(path, interpreter)


def _hint(name: str, origin: str, *, is_uncommitted: bool) -> str:
    if is_uncommitted:
        return (
            f"commit {name!r}, or remove it: it is not in the commit, "
            "but the project is installed editable"
        )
    path = Path(origin)
    directory = path.parent if path.name == "__init__.py" else path
    return (
        f"gitorch can only redirect a module to the commit if its path ends with its name: "
        f"rename {directory}, or move it"
    )


@lru_cache(maxsize=8)
def _copies(interpreter: Interpreter, main_root: Path) -> list[Copy]:
    return copies(
        interpreter.packages, interpreter.sources, interpreter.path, main_root
    )


def _require_no_copy(interpreter: Interpreter, tree: Path, main_root: Path) -> None:
    """Raise Refused if code of the project would come from an installed copy of it."""
    for copy in _copies(interpreter, main_root):
        name = only_in_copy(copy, tree)
        if name is not None:
            raise Refused(
                f"the run would import {copy.site / name} from an installed copy of "
                f"{copy.name}, because the commit has no such module",
                hint="commit it; or build it in the working tree (pip install -e .), and name it "
                "under `gitorch:` `link:`",
            )


def _ask(
    python: str, names: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> dict[str, Any]:
    """Return the answer of probe_program.py, with the origins of the modules `names`.

    Raises ProgramMissing if there is no answer.
    """
    answered = anonymous_file("answer")
    try:
        completed = run_program(
            [python, str(_PROGRAM), str(answered), *names],
            cwd=cwd,
            env=env,
            awaited=f"{python} to describe itself",
            bound_s=_TIME_LIMIT_S,
            pass_fds=(answered,),
        )
        output = os.pread(answered, os.fstat(answered).st_size, 0)
    except OSError as error:
        message = f"{python} cannot be started: {error.strerror}"
        raise ProgramMissing(message, _START_HINT) from error
    except TookTooLong as error:
        message = f"{python} does not answer within {_TIME_LIMIT_S:g} s"
        raise ProgramMissing(message, _START_HINT) from error
    finally:
        os.close(answered)
    try:
        answer = json.loads(output)
    except ValueError as error:
        errors = completed.stderr.decode("utf-8", "replace")
        _, _, last_line = errors.strip().rpartition("\n")
        message = (
            f"{python} is not a working Python: {last_line or 'it prints nothing'}"
        )
        raise ProgramMissing(message, _START_HINT) from error
    if not isinstance(answer, dict):
        raise ProgramMissing(f"{python} is not a working Python", _START_HINT)
    return answer


def _directory_on_path(name: str, path: Path) -> Path:
    """Return the directory that must be on sys.path for `name` to be found at `path`.

    For example, the directory is `src` for `pkg.sub` at `src/pkg/sub`.
    """
    if path.name == "__init__.py":
        path = path.parent
    depth = name.count(".")
    if depth >= len(path.parents):
        return path.parent
    return path.parents[depth]


def _roots_of_projects(interpreter: Interpreter, main_root: Path) -> Iterator[Path]:
    """Yield the usual source root of each editable install, since its finder may be unknown.

    If this project is installed editable from another clone, its source root is that of this one.
    """
    for project in interpreter.projects:
        yield source_root(Path(project))
    if interpreter.projects:
        own = interpreter.sources.get(own_name(main_root), {})
        if own.get("editable"):
            yield source_root(main_root)


def source_root(project: Path) -> Path:
    """Return the directory of a project that its modules are usually imported from."""
    source = project / "src"
    return source if source.is_dir() else project


def _relative_to(path: Path, root: Path) -> str | None:
    """Return `path` relative to `root`, or None if it is outside of `root`.

    The root itself is ".". Symbolic links are resolved.
    """
    relative = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
    if relative == ".." or relative.startswith("../"):
        return None
    return relative


def _is_in_environment(path: Path, interpreter: Interpreter) -> bool:
    """Return True if a path lies in the interpreter's environment.

    An environment may lie in the repository (`.venv`), but its packages are not the main tree's.
    """
    return _relative_to(path, Path(interpreter.prefix)) is not None


def _modules_in(directory: Path) -> Iterator[str]:
    """Yield the names of the modules and packages that a directory on sys.path provides."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    for entry in entries:
        module, _, suffix = entry.name.partition(".")
        if entry.suffix in _MODULES and module.isidentifier():
            if suffix == "py" or entry.suffix == ".so":
                yield module
        elif entry.name.isidentifier() and (entry / "__init__.py").is_file():
            yield entry.name


def _only_in_main(main: Path, tree: Path, package: str = "") -> Iterator[str]:
    """Yield the modules that only the main tree has in packages without `__init__.py`.

    The modules of such a package can be in several directories of sys.path at once. Both trees have
    the directories of the packages. Of a directory with very many files, some are examined.
    """
    entries: list[os.DirEntry[str]] = []
    with suppress(OSError), os.scandir(main) as found:
        entries = list(islice(found, _MOST_EXAMINED))
    for entry in entries:
        module, _, _ = entry.name.partition(".")
        in_tree = tree / entry.name
        if not module.isidentifier():
            continue
        if entry.is_dir(follow_symlinks=False):
            is_link = in_tree.is_symlink()
            if (
                not is_link
                and in_tree.is_dir()
                and not (in_tree / "__init__.py").exists()
            ):
                yield from _only_in_main(
                    main / entry.name, in_tree, f"{package}{module}."
                )
        elif package and entry.name.endswith(_MODULES) and not in_tree.exists():
            yield f"{package}{module}"


def _imported_by(tree: Path, names: set[str]) -> set[str]:
    """Return those `names` for which a Python file in `tree` contains an import statement."""
    if not names:
        return set()
    any_name = "|".join(map(re.escape, sorted(names)))
    statement = re.compile(rf"^\s*(?:import|from)\s+({any_name})\b", re.MULTILINE)
    from_package = re.compile(
        r"^\s*from\s+([\w.]+)\s+import\s+(\([^)]*\)|.*)", re.MULTILINE
    )
    imported: set[str] = set()
    for path in tree.rglob("*.py"):
        try:
            source = path.read_text("utf-8", "replace")
        except OSError:
            continue
        imported.update(statement.findall(source))
        for package, words in from_package.findall(source):
            for word in re.findall(r"\w+", words):
                imported.add(f"{package}.{word}")
    return imported & names
