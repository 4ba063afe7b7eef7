"""A worker that executes short tasks claims more tasks than it has slots.

A claimed task that cannot start soon goes back to the queue and keeps no trace of the claim.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import gitorch, gitorch_json, started, wait_for, write


@pytest.fixture
def worker(project: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """Start a worker and return it when it has just begun its first long task.

    The worker has executed two short tasks before. The long task ends when the file `go` exists.
    The run `last` is the only one after it.
    """
    long = (
        f"touch {tmp_path}/begun; until test -f {tmp_path}/go; do sleep 0.02; done"
    )
    commands = {"r0": "true", "r1": "true", "r2": long, "last": "true"}
    for name, command in commands.items():
        config = write(
            project,
            f"experiments/{name}.yaml",
            f"""
            gitorch: {{name: {name}}}
            tasks: [{{id: t, command: '{command}', of: {name}}}]
            """,
        )
        gitorch(project, "ready", config)
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    return worker


def status_of(root: Path, name: str) -> str:
    statuses = {
        run["name"]: str(run["status"])
        for run in gitorch_json(root, "list")["runs"]
    }
    return statuses[name]


def attempts_of(root: Path, name: str) -> list[tuple[int, str]]:
    """Return the number and the kind of outcome of each attempt of the run's only task."""
    [task] = gitorch_json(root, "show", name)["run"]["tasks"]
    return [
        (attempt["number"], attempt["outcome"]["kind"])
        for attempt in task["attempts"]
    ]


def test_another_worker_can_take_a_task_that_would_wait_long(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    def is_taken() -> bool:
        """Try to execute the task, which the first worker has claimed for a moment."""
        gitorch(project, "run", "last")
        return status_of(project, "last") == "COMPLETE"

    wait_for(is_taken)
    assert attempts_of(project, "last") == [(1, "succeeded")]
    (tmp_path / "go").touch()
    worker.communicate()
    assert worker.returncode == 0
    assert status_of(project, "r2") == "COMPLETE"


def test_a_run_that_was_claimed_ahead_can_be_killed(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    gitorch(project, "kill", "--yes", "last")
    (tmp_path / "go").touch()
    worker.communicate()
    assert worker.returncode == 0
    names = {run["name"] for run in gitorch_json(project, "list")["runs"]}
    assert names == {"r0", "r1", "r2"}


def test_an_interrupted_worker_returns_the_claimed_task(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    worker.send_signal(signal.SIGINT)
    wait_for(lambda: status_of(project, "last") == "WAITING")
    (tmp_path / "go").touch()
    worker.communicate()
    gitorch(project, "run")
    assert attempts_of(project, "last") == [(1, "succeeded")]


def test_a_dead_worker_loses_only_the_task_that_had_begun(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    worker.kill()
    worker.communicate()
    (tmp_path / "go").touch()
    stderr = gitorch(project, "run").stderr
    assert stderr.count("its worker died") == 1
    assert attempts_of(project, "r2") == [(1, "lost"), (2, "succeeded")]
    assert attempts_of(project, "last") == [(1, "succeeded")]
