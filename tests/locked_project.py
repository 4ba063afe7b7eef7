"""A project with a lock: wheels that are made here, and a `uv.lock` that uv makes of them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.conftest import commit_files

PYPROJECT = """\
[project]
name = "mine"
version = "0.1"
requires-python = ">=3.9"
dependencies = ["dep=={version}"]

[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[tool.uv]
{index}
"""
WHEELS = 'find-links = ["wheels"]\nno-index = true'
TASKS = """\
import dep
import mine


class Say:
    def __init__(self, config):
        self.config = config

    def run(self):
        return {"dep": dep.VERSION, "mine": mine.VERSION}
"""
CONFIG = "gitorch: {python: uv}\ntasks:\n  - {id: say, method: Say}\n"


@pytest.fixture
def locked(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose lock asks for version 1.0 of `dep`, and that has 2.0 as well."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    for version in ("1.0", "2.0"):
        make_wheel(project / "wheels", version)
    lock(project, "1.0")
    commit_files(
        project,
        {
            "src/mine/__init__.py": "VERSION = 'committed'\n",
            "Tasks.py": TASKS,
            "experiments/say.yaml": CONFIG,
        },
    )
    return project


def make_wheel(directory: Path, version: str, name: str = "dep") -> Path:
    """Write a wheel of a package. Equal versions have equal bytes."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        ),
        f"{about}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n"
        ),
    }
    files[f"{about}/RECORD"] = "".join(
        f"{name},,\n" for name in (*files, f"{about}/RECORD")
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock(root: Path, version: str, index: str = WHEELS) -> None:
    """Write the pyproject.toml and the uv.lock that ask for this version of `dep`."""
    text = PYPROJECT.format(version=version, index=index)
    (root / "pyproject.toml").write_text(text)
    uv(root, "lock", *(["--offline"] if index == WHEELS else []))


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory on the loopback, and yield its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def uv(root: Path, *arguments: str) -> str:
    completed = subprocess.run(
        [find_uv_bin(), *arguments],
        cwd=root,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def environments(root: Path) -> list[Path]:
    """Return the directories of the environments in the workspace of a repository."""
    return sorted((root.parent / f"{root.name}.gitorch").glob("environments/*"))
