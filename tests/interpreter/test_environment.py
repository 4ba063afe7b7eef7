"""The environment variables of an attempt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitorch.interpreter.environment import STAND_IN, attempt_environment
from gitorch.interpreter.probe import Interpreter
from tests.conftest import git

PYTHON = Interpreter(
    executable="/venv/bin/python",
    version="3.11.7",
    implementation="cpython",
    prefix="/venv",
    packages={},
    path=("/main/src", "/elsewhere"),
    mapped={},
    projects=(),
)
TREE = Path("/tree")


def environment(
    base: dict[str, str], declared: dict[str, str] | None = None
) -> dict[str, str]:
    return attempt_environment(
        base,
        interpreter=PYTHON,
        tree=TREE,
        main_root=Path("/main"),
        declared=declared or {},
        gitorch={"GITORCH_TOKEN": "ours"},
    )


def test_the_whole_environment() -> None:
    base = {
        "HOME": "/home/me",
        "PATH": "/usr/bin:/venv/bin:/bin",
        "PYTHONPATH": "/main:/main/lib::/elsewhere:relative",
        "VIRTUAL_ENV": "/another",
        "GITORCH_TOKEN": "theirs",
        "GITORCH_WORKSPACE": "/w",
        "GIT_DIR": "/main/.git",
        "SEED": "1",
    }
    assert environment(base, {"SEED": "2"}) == {
        "HOME": "/home/me",
        "PATH": "/venv/bin:/usr/bin:/bin",
        "PYTHONPATH": f"/tree/src:/tree:/tree/lib:/elsewhere:relative:{STAND_IN}",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": "/venv",
        "GITORCH_TOKEN": "ours",
        "SEED": "2",
    }


def test_the_config_wins_except_for_variables_that_protect_the_pin() -> None:
    declared = {
        "PATH": "/own",
        "PYTHONPATH": "/main/own",
        "PYTHONUNBUFFERED": "",
        "GIT_PAGER": "cat",
        "GITORCH_TOKEN": "x",
    }
    env = environment({"PATH": "/usr/bin", "PYTHONPATH": "/theirs"}, declared)
    assert env["PATH"] == "/venv/bin:/own"
    assert env["PYTHONPATH"] == f"/tree/src:/tree/own:{STAND_IN}"
    assert env["GIT_PAGER"] == "cat"
    assert env["GITORCH_TOKEN"] == "ours"
    assert env["PYTHONUNBUFFERED"] == "1"


def test_an_empty_environment_gets_the_default_path() -> None:
    assert environment({})["PATH"] == f"/venv/bin:{os.defpath}"


def test_git_uses_the_repository_of_its_working_directory(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "other")
    for name in git(project, "rev-parse", "--local-env-vars").split():
        monkeypatch.setenv(name, str(project / ".git"))
    result = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"],
        cwd=tmp_path / "other",
        env=environment(dict(os.environ)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == str(tmp_path / "other")


def test_gitorch_can_be_imported_without_being_installed(tmp_path: Path) -> None:
    script = "import gitorch; print(gitorch.__file__); gitorch.metric('a', 1)"
    result = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=tmp_path,
        env=environment({"PATH": os.environ["PATH"]}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == f"{STAND_IN}/gitorch.py"
