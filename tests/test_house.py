"""The architecture that CONTRIBUTING.md draws.

Modules import only from lower storeys, and one package alone imports each third-party library.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.house import BIGGEST_FILE, count

ROOT = Path(__file__).parents[1] / "gitorch"
STOREYS = (
    {"errors", "model"},
    {"tools", "runner"},
    {"config", "git", "database", "interpreter", "engines"},
    {"storage"},
    {"worker"},
    {"health"},
    {"actions"},
    {"page"},
    {"cli"},
)
# The storeys within git/: the object database and the worktrees do not know each other.
GIT_STOREYS = (
    {"modes", "neutral", "clone_identity"},
    {"command", "libgit2", "state_place"},
    {"repository"},
    {"file_system", "fetching"},
    {"store", "worktree"},
    {
        "pins",
        "hidden",
        "snapshot",
        "status",
        "diff",
        "code_digest",
        "committed_files",
        "lock_files",
        "checkout",
        "creation",
        "commit_text",
    },
)
LEVEL = {
    package: level for level, packages in enumerate(STOREYS) for package in packages
}
# The packages that may import a library.
DOORS = {
    "pygit2": {"git"},
    "yaml": {"config"},
    "jsonschema": {"config"},
    "sqlite3": {"database"},
    "typer": {"cli"},
    "pandas": {"actions"},
    "polars": {"actions"},
    "plotext": {"cli"},
    "jinja2": {"cli", "page"},
    "starlette": {"page"},
    "uvicorn": {"page"},
    "uv": {"interpreter"},
    "distributed": {"engines"},
    "cloudpickle": {"engines"},
}
FILES = sorted(
    path
    for path in ROOT.rglob("*.py")
    if path.parent != ROOT or not path.name.startswith("__")
)


def package_of(path: Path) -> str:
    """Return the package of gitorch that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, including imports in functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_only_go_down(path: Path) -> None:
    own = package_of(path)
    for module in imports_of(path):
        name, *rest = module.split(".")
        if name == "gitorch" and rest and rest[0] != own:
            lower = LEVEL[rest[0]] < LEVEL[own] or {own, rest[0]} == {
                "errors",
                "model",
            }
            assert lower, f"{own}/ imports {module}, which is not below it"


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_library_has_one_door(path: Path) -> None:
    for module in imports_of(path):
        for library, doors in DOORS.items():
            if module == library or module.startswith(f"{library}."):
                assert package_of(path) in doors, (
                    f"{module} is imported outside {', '.join(sorted(doors))}/"
                )


GIT_LEVEL = {
    module: level for level, modules in enumerate(GIT_STOREYS) for module in modules
}
GIT_FILES = [
    path
    for path in FILES
    if package_of(path) == "git" and path.name != "__init__.py"
]


def git_module_of(path: Path) -> str:
    """Return the module or subpackage of gitorch.git that a file belongs to."""
    return path.relative_to(ROOT / "git").parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "path", GIT_FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_within_git_only_go_down(path: Path) -> None:
    own = git_module_of(path)
    for module in imports_of(path):
        assert module != "gitorch.git", (
            "name the module: from gitorch.git.pins import ..."
        )
        if not module.startswith("gitorch.git."):
            continue
        other = module.split(".")[2]
        is_top = GIT_LEVEL[own] == len(GIT_STOREYS) - 1
        if other != own and not (is_top and GIT_LEVEL[other] == GIT_LEVEL[own]):
            lower = GIT_LEVEL[other] < GIT_LEVEL[own]
            assert lower, f"git/{own} imports {module}, which is not below it"


# These read files that a task or another person may have made, and so open no file themselves.
WARY = (
    "storage/",
    "worker/",
    "config/",
    "actions/",
    "page/",
    "engines/contract.py",
)
# These read files of gitorch's own installation.
OWN_FILES = ("config/schema.py", "actions/init.py", "actions/demo.py")
OPENING = {"read_bytes", "read_text", "open"}


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_that_others_made_are_opened_by_untrusted(path: Path) -> None:
    """Only `tools/untrusted` and `tools/files` know how to open what may be a pipe or a device."""
    name = path.relative_to(ROOT).as_posix()
    if not name.startswith(WARY) or name in OWN_FILES:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ):
            continue
        is_reading = node.func.attr in OPENING and not _writes_or_is_no_file(node)
        assert not is_reading, f"line {node.lineno}: use gitorch.tools.untrusted"


def _writes_or_is_no_file(call: ast.Call) -> bool:
    """Return True for `path.open("wb")`, and for `open` of a database or of a class."""
    if any(
        isinstance(word, ast.Constant) and word.value in ("wb", "xb")
        for word in call.args
    ):
        return True
    assert isinstance(call.func, ast.Attribute)
    owner = call.func.value
    if not isinstance(owner, ast.Name) or call.func.attr != "open":
        return False
    if owner.id == "os":
        return not any("O_RDONLY" in ast.unparse(word) for word in call.args)
    return owner.id[0].isupper()


def test_every_package_has_a_storey() -> None:
    packages = {
        path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES
    }
    assert packages <= set(LEVEL)


def test_class_names_are_unique() -> None:
    """A reader recognises a class by its name, without a look at the imports."""
    files_by_class: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                files_by_class.setdefault(node.name, []).append(
                    str(path.relative_to(ROOT))
                )
    ambiguous = {
        name: files for name, files in files_by_class.items() if len(files) > 1
    }
    assert ambiguous == {}


def test_no_module_has_the_name_of_a_standard_module_that_the_package_imports() -> (
    None
):
    imported = {
        module.split(".")[0] for path in FILES for module in imports_of(path)
    }
    standard = imported & sys.stdlib_module_names
    own = {
        part.removesuffix(".py")
        for path in FILES
        for part in path.relative_to(ROOT).parts
    }
    assert own & standard == set()


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_code_is_unfolded(path: Path) -> None:
    """A statement has one comprehension or conditional expression; functions are short."""
    counts = count(path)
    assert counts.offenders == []
    assert counts.lines <= BIGGEST_FILE


@pytest.mark.parametrize("program", ["keeper", "slots", "dask.execution"])
def test_programs_of_attempts_need_the_standard_library_only(program: str) -> None:
    """They start on machines where nothing else is installed."""
    script = f"import sys; sys.path.insert(0, sys.argv[1]); import gitorch.engines.{program}"
    command = [sys.executable, "-I", "-S", "-c", script, str(ROOT.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
