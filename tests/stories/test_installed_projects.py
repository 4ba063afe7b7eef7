"""However the project is installed in its environment, its runs execute the pinned code."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.conftest import commit_files, git, gitorch, write

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "Pin.Science"
version = "1.0"
"""
FLAT = (
    PYPROJECT
    + """
[tool.setuptools]
packages = ["science"]
"""
)
RENAMED = (
    FLAT
    + """
package-dir = {science = "code"}
"""
)
TASKS = """
import science.inner
class One:
    def __init__(self, config): pass
    def run(self): print(science.WHO, science.inner.WHO)
"""
CONFIG = """
tasks:
  - {id: one, method: One}
  - {id: two, command: [python, -c, "import science.inner as s; print(science.WHO, s.WHO)"]}
  - {id: three, command: python scripts/three.py}
"""
SCRIPT = "import science.inner as s\nprint(science.WHO, s.WHO)\n"
FILES = {
    "pyproject.toml": PYPROJECT,
    ".gitignore": ".venv/\n*.egg-info/\nbuild/\n*.so\n",
    "Tasks.py": TASKS,
    "scripts/three.py": SCRIPT.replace("science.WHO", "s.__package__"),
    "experiments/a.yaml": CONFIG.replace(
        "as s; print(science", "as s, science; print(science"
    ),
}
PINNED = "pinned pinned\npinned pinned\nscience pinned\n"


def write_package(root: Path, directory: str, who: str) -> None:
    for name in ("__init__", "inner"):
        write(root, f"{directory}/{name}.py", f"WHO = {who!r}\n")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


def environment(root: Path) -> Path:
    """Make `.venv` with the setuptools of the tests, and return its site-packages."""
    environment = root / ".venv"
    command = [find_uv_bin(), "venv", "-q", "--python", sys.executable, environment]
    subprocess.run(command, check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    ours = Path(sysconfig.get_path("purelib"))
    for source in (*ours.glob("setuptools*"), ours / "_distutils_hack"):
        (site / source.name).symlink_to(source)
    return site


def install(root: Path, *options: str) -> None:
    """Install the project in `.venv`, with uv and setuptools."""
    command = [find_uv_bin(), "pip", "install", "-q", "--offline", "--no-deps"]
    command += ["--no-build-isolation", "--python", str(root / ".venv"), *options]
    subprocess.run(command, cwd=root, check=True)


def outputs(root: Path) -> str:
    """Ready and run, with an edit in between, and return what the tasks print."""
    gitorch(root, "ready")
    directory = "src/science" if (root / "src").exists() else "science"
    write_package(root, directory, "edited")
    gitorch(root, "run")
    return gitorch(root, "logs", "@").stdout


@pytest.mark.parametrize(
    ("directory", "pyproject"),
    [
        ("src/science", PYPROJECT),  # a .pth file
        ("science", FLAT),  # a finder
    ],
)
def test_an_editable_project_that_is_edited_runs_its_pinned_code(
    project: Path, directory: str, pyproject: str
) -> None:
    write_package(project, directory, "pinned")
    commit_files(project, {**FILES, "pyproject.toml": pyproject})
    environment(project)
    install(project, "-e", ".")
    assert outputs(project) == PINNED


def test_a_copy_of_the_project_is_not_what_runs(project: Path) -> None:
    write_package(project, "src/science", "older")
    commit_files(project, FILES)
    environment(project)
    install(project, ".")
    write_package(project, "src/science", "pinned")
    commit_files(project, {})
    assert outputs(project) == PINNED


def test_a_project_that_is_installed_from_another_clone(
    project: Path, tmp_path: Path
) -> None:
    write_package(project, "src/science", "pinned")
    commit_files(project, FILES)
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(project), str(other))
    write_package(other, "src/science", "other")
    environment(other)
    install(other, "-e", ".")
    git(project, "config", "gitorch.python", str(other / ".venv/bin/python"))
    assert outputs(project) == PINNED


def test_a_link_in_the_environment_is_redirected(project: Path) -> None:
    write_package(project, "src/science", "pinned")
    commit_files(project, FILES)
    site = environment(project)
    (site / "science").symlink_to(project / "src/science")
    assert outputs(project) == PINNED


def test_what_cannot_be_redirected_is_refused_with_the_reason(
    project: Path,
) -> None:
    write_package(project, "code", "pinned")
    commit_files(project, {**FILES, "pyproject.toml": RENAMED})
    site = environment(project)
    install(project, "-e", ".")
    refused = gitorch(project, "ready", code=4).stderr
    origin = f"{project}/code/__init__.py"
    assert f"would import 'science' from the working tree, {origin}" in refused
    assert f"rename {project}/code, or move it" in refused

    install(project, ".")
    refused = gitorch(project, "ready", code=4).stderr
    copy = f"would import {site}/science from an installed copy of pin-science"
    assert copy in refused

    git(project, "mv", "code", "science")
    commit_files(project, {"pyproject.toml": FLAT})
    record = next(site.glob("pin_*.dist-info/RECORD"))
    record.write_text(record.read_text() + "science/fast.abi3.so,,\n")
    refused = gitorch(project, "ready", code=4).stderr
    assert (
        f"would import {site}/science/fast.abi3.so from an installed copy"
        in refused
    )
    write(project, "science/fast.abi3.so", "")
    config = "gitorch: {link: [science/fast.abi3.so]}\n" + CONFIG
    commit_files(project, {"experiments/a.yaml": config})
    gitorch(project, "ready")
