"""An interpreter is asked once, and again as soon as it could answer otherwise; it counts its own starts."""

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

COUNT = "import os, sys; open(os.path.join(os.path.dirname(sys.prefix), 'starts'), 'a').write(f'{os.getpid()} ')\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an environment in `.venv`, none of whose files is too young to be trusted."""
    monkeypatch.setattr(answer_cache, "_YOUNG_NS", -(1 << 60))
    root = tmp_path / "main"
    root.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    (site_packages(root) / "count.pth").write_text(COUNT)
    (site_packages(root) / "more.pth").write_text("# what follows is not there yet\nmore\n")
    return root


def site_packages(root: Path) -> Path:
    return next((root / ".venv/lib").glob("python3*")) / "site-packages"


def ask(root: Path, env: Mapping[str, str] = os.environ) -> Interpreter:
    return probe(str(root / ".venv/bin/python"), cwd=root, env=env, memory=root / "memory")


def starts(root: Path) -> int:
    return len(
        set((root / "starts").read_text().split())
    )  # in a venv `site` reads .pth files twice


def test_an_interpreter_is_started_once_and_says_the_same(root: Path) -> None:
    first, second = ask(root), ask(root)
    assert starts(root) == 1
    assert {name: getattr(first, name) for name in first.__slots__} == {
        name: getattr(second, name) for name in second.__slots__
    }


def install(root: Path) -> None:
    (site_packages(root) / "thing-1.0.dist-info").mkdir()


def make_what_a_pth_names(root: Path) -> None:
    (site_packages(root) / "more").mkdir()


def edit_a_pth(root: Path) -> None:
    with (site_packages(root) / "more.pth").open("a") as file:
        file.write("elsewhere\n")


def put_another_interpreter_there(root: Path) -> None:
    python = root / ".venv/bin/python"
    target = python.resolve()
    python.unlink()
    python.symlink_to(target)
    (root / ".venv/pyvenv.cfg").write_text(
        (root / ".venv/pyvenv.cfg").read_text() + "prompt = another\n"
    )


def make_the_user_site(root: Path) -> None:
    version = "python{}.{}".format(*sys.version_info)
    (root / f"home/.local/lib/{version}/site-packages").mkdir(parents=True)


@pytest.mark.parametrize(
    "change",
    [install, make_what_a_pth_names, edit_a_pth, put_another_interpreter_there, make_the_user_site],
)
def test_whatever_it_depends_on_has_it_asked_again(
    root: Path, change: Callable[[Path], None]
) -> None:
    env = {**os.environ, "HOME": str(root / "home")}
    ask(root, env)
    change(root)
    ask(root, env)
    assert starts(root) == 2
    ask(root, env)
    assert starts(root) == 2


def test_asked_in_another_way_it_is_asked_anew(root: Path) -> None:
    ask(root)
    assert str(root / "lib") not in ask(root).path
    (root / "lib").mkdir()
    assert str(root / "lib") in ask(root, {**os.environ, "PYTHONPATH": str(root / "lib")}).path


def test_new_packages_are_seen(root: Path) -> None:
    assert "thing" not in ask(root).packages
    install(root)
    assert ask(root).packages["thing"] == "1.0"


def test_what_is_too_young_is_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    ask(root), ask(root)
    assert starts(root) == 2


def test_of_an_interpreter_that_does_what_it_likes_at_its_start_nothing_is_remembered(
    root: Path,
) -> None:
    (site_packages(root) / "sitecustomize.py").write_text("")
    ask(root), ask(root)
    assert starts(root) == 2


def test_of_a_shim_nothing_is_remembered(root: Path) -> None:
    shim = root / "python"
    shim.write_text(f'#!/bin/sh\nexec "{root}/.venv/bin/python" "$@"\n')
    shim.chmod(0o755)
    for _ in range(2):
        probe(str(shim), cwd=root, env=os.environ, memory=root / "memory")
    assert starts(root) == 2


@pytest.mark.parametrize("content", [b"", b"null", b"[]", json.dumps({"asked": 1}).encode()])
def test_a_broken_memory_is_none(root: Path, content: bytes) -> None:
    ask(root)
    [kept] = (root / "memory").iterdir()
    kept.write_bytes(content)
    ask(root)
    assert starts(root) == 2
