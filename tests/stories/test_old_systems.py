"""gitorch with a Python, a git, a kernel or a container that lacks what newer ones have."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, wait_for, write
from tests.old_systems import SYSTEMS, old_git, old_python


@pytest.fixture(params=[*SYSTEMS, "git 2.34"])
def python(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    if request.param in SYSTEMS:
        return old_python(tmp_path / "old", SYSTEMS[request.param])
    monkeypatch.setenv("PATH", old_git(tmp_path / "old"))
    return sys.executable


LONG = {"LONG": "x" * 100_000}  # too much for one message to a slot


def gitorch(
    python: str, root: Path, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [python, "-m", "gitorch", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, **LONG},
        check=False,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended


TASKS = """
class Train:
    def __init__(self, config): self.seed = config["params"]["seed"]
    def validate(self): pass
    def run(self): return {"loss": 1 / self.seed}
"""


def test_the_main_job(python: str, project: Path) -> None:
    git(project, "config", "gitorch.largeFile", "100k")
    commit_files(project, {"Tasks.py": TASKS})
    write(
        project,
        "experiments/all.yaml",
        """
        params: {seed: 4}
        tasks:
          - {id: train, method: Train}
          - {id: large, command: 'head -c 300000 /dev/urandom > {outputDir}/model.bin'}
          - {id: values, command: 'echo [1, 2] > {outputDir}/values.json; echo $PPID >&2'}
        """,
    )
    gitorch(python, project, "ready", "experiments")
    gitorch(python, project, "run", "-j", "2")
    gitorch(python, project, "rerun", "@")
    gitorch(python, project, "run")
    shown = json.loads(gitorch(python, project, "show", "@", "--json").stdout)[
        "run"
    ]
    assert shown["metrics"]["loss"] == 0.25
    stored = {output["path"]: output for output in shown["outputs"]}
    assert stored["model.bin"]["stored"] == "lfs"
    tree = gitorch(python, project, "checkout-run", "@").stdout.strip()
    restored = Path(tree, f"run-{shown['id']}/outputs/model.bin").read_bytes()
    assert hashlib.sha256(restored).hexdigest() == stored["model.bin"]["sha256"]
    runs = json.loads(gitorch(python, project, "list", "--json").stdout)["runs"]
    ids = [run["id"] for run in runs]
    compared = gitorch(python, project, "compare", *ids).stdout
    assert "model.bin" in compared
    assert "values.json" not in compared
    assert "all is well" in gitorch(python, project, "doctor").stderr


def test_what_cannot_start_is_explained(python: str, project: Path) -> None:
    commit_files(project, {"data": "not a program\n"})
    write(
        project,
        "experiments/all.yaml",
        """
        tasks:
          - {id: missing, command: [no-such-program]}
          - {id: refused, command: [./data], needs: []}
        """,
    )
    output = gitorch(python, project, "run", "experiments", code=1)
    printed = output.stdout + output.stderr
    assert "no such program on PATH" in printed
    assert "Permission denied" in printed


def started(python: str, project: Path, script: str) -> subprocess.Popen[str]:
    """Start a worker that executes the script, and return once it says so."""
    write(
        project,
        "experiments/all.yaml",
        f"""
        tasks:
          - {{id: t, command: '{script}'}}
        """,
    )
    gitorch(python, project, "ready", "experiments")
    worker = subprocess.Popen(
        [python, "-m", "gitorch", "run"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    await_line(worker, "t started")
    return worker


def await_line(worker: subprocess.Popen[str], text: str) -> None:
    assert worker.stderr is not None
    assert any(text in line for line in worker.stderr), text


def test_a_run_is_killed_with_its_children(
    python: str, project: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    worker = started(python, project, f"sleep 600 & echo $! > {child}; sleep 600")
    wait_for(lambda: child.exists() and child.read_text())
    gitorch(python, project, "kill", "@")
    worker.communicate(timeout=20)
    assert worker.returncode == 1
    assert not Path(f"/proc/{int(child.read_text())}").exists()


def test_a_worker_ends_when_it_is_asked_to(python: str, project: Path) -> None:
    worker = started(python, project, "sleep 600")
    worker.send_signal(signal.SIGINT)
    await_line(worker, "taking no more")
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate(timeout=20)
    assert "Traceback" not in errors
    assert "WAITING" in gitorch(python, project, "list").stdout
