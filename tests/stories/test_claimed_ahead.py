"""While tasks are short a worker claims more than it has slots; what then would wait is left to others, traceless."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import gitorch, gitorch_json, started, wait_for, write


@pytest.fixture
def worker(project: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """A worker that has just begun a task which goes on until `go` is there, after short ones; then comes `last`."""
    long = f"touch {tmp_path}/begun; until test -f {tmp_path}/go; do sleep 0.02; done"
    for name, command in {"r0": "true", "r1": "true", "r2": long, "last": "true"}.items():
        config = (
            f"gitorch: {{name: {name}}}\ntasks: [{{id: t, command: '{command}', of: {name}}}]\n"
        )
        gitorch(project, "ready", write(project, f"experiments/{name}.yaml", config))
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    return worker


def status_of(root: Path, name: str) -> str:
    return next(
        str(run["status"]) for run in gitorch_json(root, "list")["runs"] if run["name"] == name
    )


def attempts_of(root: Path, name: str) -> list[tuple[int, str]]:
    [task] = gitorch_json(root, "show", name)["run"]["tasks"]
    return [(attempt["number"], attempt["outcome"]["kind"]) for attempt in task["attempts"]]


def test_a_task_that_would_wait_long_is_left_to_another_worker(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    wait_for(lambda: status_of(project, "last") == "WAITING")
    gitorch(project, "run", "last")
    assert attempts_of(project, "last") == [(1, "succeeded")]
    (tmp_path / "go").touch()
    worker.communicate()
    assert worker.returncode == 0
    assert status_of(project, "r2") == "COMPLETE"


def test_a_run_that_was_claimed_ahead_can_be_killed(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    gitorch(project, "kill", "last")
    (tmp_path / "go").touch()
    worker.communicate()
    assert worker.returncode == 0
    assert {run["name"] for run in gitorch_json(project, "list")["runs"]} == {"r0", "r1", "r2"}


def test_a_worker_that_is_told_to_stop_gives_it_back(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    worker.send_signal(signal.SIGINT)
    wait_for(lambda: status_of(project, "last") == "WAITING")
    (tmp_path / "go").touch()
    worker.communicate()
    gitorch(project, "run")
    assert attempts_of(project, "last") == [(1, "succeeded")]


def test_of_a_worker_that_died_only_what_had_begun_is_lost(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    worker.kill()
    worker.communicate()
    (tmp_path / "go").touch()
    said = gitorch(project, "run").stderr
    assert said.count("its worker died") == 1
    assert attempts_of(project, "r2") == [(1, "lost"), (2, "succeeded")]
    assert attempts_of(project, "last") == [(1, "succeeded")]
