"""The cache of answers: an interpreter is started again only if its answer may have changed.

A .pth file in the environment counts the starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gitorch.interpreter import answer_cache
from gitorch.interpreter.probe import Interpreter, probe

# The .pth file appends the process id of each started interpreter to the file `starts`.
COUNT = (
    "import os, sys; open(os.path.join(os.path.dirname(sys.prefix), 'starts'), "
    "'a').write(f'{os.getpid()} ')\n"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a directory with an environment in `.venv`, and treat all its files as old."""
    monkeypatch.setattr(answer_cache, "_YOUNG_NS", -(1 << 60))
    root = tmp_path / "main"
    root.mkdir()
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True
    )
    (site_packages(root) / "count.pth").write_text(COUNT)
    (site_packages(root) / "more.pth").write_text(
        "# this directory does not exist yet\nmore\n"
    )
    return root


def site_packages(root: Path) -> Path:
    return next((root / ".venv/lib").glob("python3*")) / "site-packages"


def ask(root: Path, env: Mapping[str, str] = os.environ) -> Interpreter:
    return probe(
        str(root / ".venv/bin/python"), cwd=root, env=env, memory=root / "memory"
    )


def starts(root: Path) -> int:
    pids = (root / "starts").read_text().split()
    return len(set(pids))  # in a venv, `site` reads .pth files twice in one process


def test_a_cached_answer_is_the_same(root: Path) -> None:
    first = ask(root)
    second = ask(root)
    assert starts(root) == 1
    for name in Interpreter.__slots__:
        assert getattr(first, name) == getattr(second, name)


def install(root: Path) -> None:
    (site_packages(root) / "thing-1.0.dist-info").mkdir()


def create_the_directory_in_a_pth(root: Path) -> None:
    (site_packages(root) / "more").mkdir()


def edit_a_pth(root: Path) -> None:
    with (site_packages(root) / "more.pth").open("a") as file:
        file.write("elsewhere\n")


def replace_the_interpreter(root: Path) -> None:
    python = root / ".venv/bin/python"
    target = python.resolve()
    python.unlink()
    python.symlink_to(target)
    with (root / ".venv/pyvenv.cfg").open("a") as file:
        file.write("prompt = another\n")


def create_the_user_site(root: Path) -> None:
    version = "python{}.{}".format(*sys.version_info)
    (root / f"home/.local/lib/{version}/site-packages").mkdir(parents=True)


@pytest.mark.parametrize(
    "change",
    [
        install,
        create_the_directory_in_a_pth,
        edit_a_pth,
        replace_the_interpreter,
        create_the_user_site,
    ],
)
def test_a_changed_dependency_invalidates_the_answer(
    root: Path, change: Callable[[Path], None]
) -> None:
    env = {**os.environ, "HOME": str(root / "home")}
    ask(root, env)
    change(root)
    ask(root, env)
    assert starts(root) == 2
    ask(root, env)
    assert starts(root) == 2


def test_a_different_call_is_not_answered_from_the_cache(root: Path) -> None:
    ask(root)
    library = root / "lib"
    assert str(library) not in ask(root).path
    library.mkdir()
    env = {**os.environ, "PYTHONPATH": str(library)}
    assert str(library) in ask(root, env).path


def test_new_packages_are_seen(root: Path) -> None:
    assert "thing" not in ask(root).packages
    install(root)
    assert ask(root).packages["thing"] == "1.0"


def test_an_answer_that_depends_on_new_files_is_not_cached(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    ask(root)
    ask(root)
    assert starts(root) == 2


def test_an_answer_is_not_cached_if_there_is_a_sitecustomize(
    root: Path,
) -> None:
    (site_packages(root) / "sitecustomize.py").write_text("")
    ask(root)
    ask(root)
    assert starts(root) == 2


def test_the_answer_of_a_shim_is_not_cached(root: Path) -> None:
    shim = root / "python"
    shim.write_text(f'#!/bin/sh\nexec "{root}/.venv/bin/python" "$@"\n')
    shim.chmod(0o755)
    for _ in range(2):
        probe(str(shim), cwd=root, env=os.environ, memory=root / "memory")
    assert starts(root) == 2


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", json.dumps({"asked": 1}).encode()]
)
def test_a_broken_cache_entry_is_ignored(root: Path, content: bytes) -> None:
    ask(root)
    [entry] = (root / "memory").iterdir()
    entry.write_bytes(content)
    ask(root)
    assert starts(root) == 2
