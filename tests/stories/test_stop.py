"""`gitorch stop` ends workers as Ctrl-C does, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import gitorch, gitorch_json, started, wait_for, write


class Scene:
    """Three queued runs, each of which says that it has begun and waits for a file."""

    def __init__(self, project: Path, directory: Path) -> None:
        self.project = project
        self.directory = directory
        for name in "abc":
            command = f"touch {directory}/{name}; until test -f {directory}/go; do sleep 0.02; done"
            write(
                project,
                f"experiments/{name}.yaml",
                f"tasks: [{{id: t, command: '{command}'}}]\n",
            )
        gitorch(project, "ready")

    def begun(self, name: str) -> bool:
        return (self.directory / name).exists()

    def go(self) -> None:
        (self.directory / "go").touch()

    def statuses(self) -> dict[str, str]:
        runs = gitorch_json(self.project, "list")["runs"]
        return {run["name"]: run["status"] for run in runs}

    def left(self) -> list[str]:
        """Return the files of workers that have not ended cleanly."""
        return [
            path.name
            for path in (self.project / ".git/gitorch/workers").iterdir()
            if path.suffix != ".log"
        ]


@pytest.fixture
def scene(project: Path, tmp_path: Path) -> Scene:
    return Scene(project, tmp_path)


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_stop_waits_for_running_tasks_and_starts_no_more(scene: Scene) -> None:
    worker = started(scene.project, "run")
    wait_for(lambda: scene.begun("a"))
    stop = started(scene.project, "stop")
    name = next_line(stop).split()[1]
    assert name.endswith(f":{worker.pid}")
    assert ", 1 task, stopping\n" in gitorch(scene.project, "status").stdout
    [live] = gitorch_json(scene.project, "status")["workers"]
    assert (live["stopping"], live["detached"], live["log"]) == (True, False, None)
    scene.go()
    _, said = stop.communicate(timeout=20)
    assert stop.returncode == 0
    assert said.splitlines() == [
        f"worker {name} has ended",
        "2 runs queued; gitorch run continues",
    ]
    _, heard = worker.communicate(timeout=20)
    assert worker.returncode == 130
    assert "taking no more, waiting for 1 running task; Ctrl-C once more" in heard
    assert scene.statuses() == {"a": "COMPLETE", "b": "WAITING", "c": "WAITING"}
    assert scene.left() == []


def test_stop_now_sends_running_tasks_back_to_the_queue(scene: Scene) -> None:
    worker = started(scene.project, "run", "-j", "2")
    wait_for(lambda: scene.begun("a") and scene.begun("b"))
    soft = started(scene.project, "stop")
    assert "waits for 2 running tasks; gitorch stop --now does not" in next_line(
        soft
    )
    stopped = gitorch_json(scene.project, "stop", "--now")
    assert stopped["schema"] == "gitorch/stop/v1"
    [ended] = stopped["workers"]
    assert (ended["pid"], ended["ended"]) == (worker.pid, True)
    soft.communicate(timeout=20)
    worker.communicate(timeout=20)
    assert (soft.returncode, worker.returncode) == (0, 130)
    assert set(scene.statuses().values()) == {"WAITING"}
    [attempt] = gitorch_json(scene.project, "show", "a")["run"]["tasks"][0][
        "attempts"
    ]
    assert attempt["outcome"]["kind"] == "interrupted"
    assert scene.left() == []


def test_a_worker_that_waits_for_runs_ends_at_once(scene: Scene) -> None:
    scene.go()
    worker = started(scene.project, "run", "--watch")
    wait_for(lambda: set(scene.statuses().values()) == {"COMPLETE"})
    done = gitorch(scene.project, "stop", str(worker.pid))
    assert done.stderr.endswith(f":{worker.pid} has ended\n")
    worker.communicate(timeout=20)
    assert worker.returncode == 130


def test_the_job_of_a_script_that_ignores_ctrl_c_is_stopped(scene: Scene) -> None:
    """A shell ignores SIGINT in the programs that a script starts with `&`."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "gitorch", "run"],
        cwd=scene.project,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    wait_for(lambda: scene.begun("a"))
    worker.send_signal(signal.SIGINT)
    gitorch(scene.project, "stop", "--now")
    assert worker.wait(timeout=20) == 130


def test_a_suspended_worker_continues_to_stop(scene: Scene) -> None:
    worker = started(scene.project, "run")
    wait_for(lambda: scene.begun("a"))
    worker.send_signal(signal.SIGSTOP)
    gitorch(scene.project, "stop", "--now")
    worker.communicate(timeout=20)
    assert worker.returncode == 130


def test_one_of_two_workers_is_stopped(scene: Scene) -> None:
    first = started(scene.project, "run", "a")
    wait_for(lambda: scene.begun("a"))
    second = started(scene.project, "run", "b")
    wait_for(lambda: scene.begun("b"))
    asked = gitorch(scene.project, "stop", str(first.pid), "--now", "--no-wait")
    assert asked.stderr == "1 worker asked to stop; see gitorch status\n"
    first.communicate(timeout=20)
    workers = gitorch_json(scene.project, "status")["workers"]
    assert [worker["pid"] for worker in workers] == [second.pid]
    scene.go()
    second.communicate(timeout=20)
    assert (first.returncode, second.returncode) == (130, 0)
    assert scene.statuses() == {"a": "WAITING", "b": "COMPLETE", "c": "WAITING"}


def test_a_worker_that_is_killed_while_it_stops(scene: Scene) -> None:
    worker = started(scene.project, "run")
    wait_for(lambda: scene.begun("a"))
    stop = started(scene.project, "stop")
    next_line(stop)
    worker.kill()
    worker.communicate()
    _, said = stop.communicate(timeout=20)
    assert "was killed\n3 runs queued; gitorch run continues\n" in said
    scene.go()
    gitorch(scene.project, "run")
    assert set(scene.statuses().values()) == {"COMPLETE"}
    assert scene.left() == []


def test_only_living_workers_are_stopped(scene: Scene) -> None:
    nothing = "nothing to stop: no worker is running\n"
    assert gitorch(scene.project, "stop").stderr == nothing
    worker = started(scene.project, "run")
    wait_for(lambda: scene.begun("a"))
    worker.kill()
    worker.communicate()
    assert gitorch(scene.project, "stop").stderr == nothing
    for pid in (str(worker.pid), "1"):
        document: Any = json.loads(
            gitorch(scene.project, "stop", pid, "--json", code=3).stdout
        )
        assert document["error"]["message"] == (
            f"no worker of this clone has the pid {pid}"
        )
    gitorch(scene.project, "kill", "a")
