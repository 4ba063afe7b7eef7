"""The wheel is complete. It is built, installed into a new environment, and used from there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("gitorch", "schemas", "demo", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new environment with the wheel.

    The new environment uses the dependencies of the environment that runs the tests.
    """
    scratch = tmp_path_factory.mktemp("packaging")
    # The wheel is not built in the work tree, where setuptools would leave and reuse build/.
    source = scratch / "source"
    source.mkdir()
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run(
        [*build, "--wheel-dir", scratch, source], check=True, env=_environment()
    )
    venv.create(scratch / "venv")
    python = scratch / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", f"--python={python}"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*install, *scratch.glob("*.whl")], check=True, env=_environment()
    )
    site_packages = Path(
        ask(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
    )
    (site_packages / "dependencies.pth").write_text(
        f"{Path(pytest.__file__).parents[1]}\n"
    )
    return python


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }


def ask(python: Path, program: str) -> str:
    """Run a program in this Python, and return its output."""
    result = subprocess.run(
        [python, "-I", "-c", program],
        cwd=python.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_package_comes_from_the_wheel(installed: Path) -> None:
    paths = ask(
        installed,
        "import gitorch.schemas, gitorch.demo as d; print(gitorch.__path__[0], d.__path__[0])",
    )
    assert all(
        Path(path).is_relative_to(installed.parents[1]) for path in paths.split()
    )


def test_the_wheel_contains_the_schemas(installed: Path) -> None:
    program = (
        "import importlib.resources as r; "
        "names = [file.name for file in r.files('gitorch.schemas').iterdir()]; "
        "print(*sorted(name for name in names if name.endswith('.json')))"
    )
    assert ask(installed, program).split() == sorted(
        path.name for path in (ROOT / "schemas").glob("*.json")
    )


def test_the_demo_is_created_from_the_wheel(
    installed: Path, tmp_path: Path
) -> None:
    ask(
        installed,
        "import pathlib; from gitorch.actions.demo import create; "
        f"create(pathlib.Path({str(tmp_path / 'penguins')!r}))",
    )
    data = (ROOT / "demo" / "penguins.csv").read_bytes()
    assert (tmp_path / "penguins" / "penguins.csv").read_bytes() == data
    assert (tmp_path / "penguins" / ".gitignore").exists()


def test_importing_gitorch_imports_only_the_standard_library(
    installed: Path,
) -> None:
    program = (
        "import sys, json; import gitorch; gitorch.TaskBase, gitorch.progress, gitorch.metric; "
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()]; "
        "print(json.dumps([file for file in files if file]))"
    )
    files = json.loads(ask(installed, program))
    not_standard = [Path(file) for file in files if "site-packages" in file]
    assert not_standard
    assert all("gitorch" in file.parts for file in not_standard), not_standard


def test_both_names_of_the_program_work(installed: Path) -> None:
    for name in ("gitorch", "git-orch"):
        command = [installed.parent / name, "--help"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Usage:" in result.stdout


def test_pyproject_lists_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
        "setuptools"
    ]["packages"]
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "gitorch").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert sorted(packages | {"gitorch.schemas", "gitorch.demo"}) == sorted(listed)


def test_the_wheel_contains_every_file_of_the_package(installed: Path) -> None:
    source = ROOT / "gitorch"
    package = Path(ask(installed, "import gitorch; print(gitorch.__path__[0])"))
    missing = []
    for path in source.rglob("*"):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        if not (package / path.relative_to(source)).exists():
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_the_wheel_contains_the_man_page(installed: Path) -> None:
    page = installed.parents[1] / "share/man/man1/git-orch.1"
    assert page.read_text().startswith(".TH GIT")


def test_the_extras_that_the_texts_name_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [(ROOT / "README.md").read_text()]
    texts += [
        path.read_text() for path in (ROOT / "gitorch/cli/manual").glob("*.txt")
    ]
    named = set(
        re.findall(r"pip install [\"'](?:gitorch|\.)\[(\w+)\]", "\n".join(texts))
    )
    assert named == {"dask", "plot", "uv"}
    assert named <= set(project["optional-dependencies"])
