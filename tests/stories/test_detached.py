"""A worker in the background outlives its terminal, and leaves nothing behind when it ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from gitorch.tools.locks import is_held
from gitorch.tools.process import environment_of, process_of, table
from tests.conftest import (
    commit_files,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)
from tests.terminal import on_terminal

BEGAN = re.compile(r"worker (\d+) works in the background")


class Scene:
    """Two queued runs, each of which says that it has begun and waits for a file."""

    def __init__(self, project: Path, directory: Path) -> None:
        self.project = project
        self.directory = directory
        for name in "ab":
            command = f"touch {directory}/{name}; until test -f {directory}/go; do sleep 0.02; done"
            write(
                project,
                f"experiments/{name}.yaml",
                f"tasks: [{{id: t, command: '{command}'}}]\n",
            )
        gitorch(project, "ready")

    def wait_for(self, *names: str) -> None:
        wait_for(lambda: all((self.directory / name).exists() for name in names))

    def go(self) -> None:
        (self.directory / "go").touch()

    def statuses(self) -> dict[str, str]:
        runs = gitorch_json(self.project, "list")["runs"]
        return {run["name"]: run["status"] for run in runs}

    def detach(self, *options: str) -> int:
        """Start a worker in the background and return its pid."""
        said = gitorch(self.project, "run", "--detach", *options).stderr
        match = BEGAN.search(said)
        assert match, said
        return int(match[1])

    def workers(self) -> list[dict[str, Any]]:
        workers: list[dict[str, Any]] = gitorch_json(self.project, "status")[
            "workers"
        ]
        return workers

    def assert_nothing_is_left(self) -> None:
        """Assert that no process, no RUNNING run and no file of a worker is left."""
        home = os.environ["HOME"]
        own = os.getpid()
        wait_for(
            lambda: (
                not [
                    process.pid
                    for process in table()
                    if process.pid != own
                    and not process.has_ended
                    and environment_of(process.pid).get("HOME") == home
                ]
            )
        )
        assert "RUNNING" not in self.statuses().values()
        workers = self.project / ".git/gitorch/workers"
        assert {path.suffix for path in workers.iterdir()} == {".log"}
        assert gitorch_json(self.project, "doctor")["findings"] == []


@pytest.fixture
def scene(project: Path, tmp_path: Path) -> Scene:
    return Scene(project, tmp_path)


def test_the_terminal_closes_while_the_worker_works(scene: Scene) -> None:
    leader, follower = pty.openpty()
    shell = subprocess.Popen(
        ["sh"],
        cwd=scene.project,
        env={**os.environ, "PS1": "$ ", "TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    command = f"{sys.executable} -m gitorch run --detach --watch\n"
    os.write(leader, command.encode())
    said = b""
    while b"stop it:" not in said:
        said += os.read(leader, 1 << 12)
    match = BEGAN.search(said.decode())
    assert match
    pid = int(match[1])
    scene.wait_for("a")
    os.close(leader)
    assert shell.wait(timeout=20) == -signal.SIGHUP

    os.kill(pid, signal.SIGHUP)
    [worker] = scene.workers()
    assert (worker["pid"], worker["detached"], worker["tasks"]) == (pid, True, 1)
    waiting = started(scene.project, "wait")
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == (
        "waiting for 1 running and 1 queued runs, – left\n"
    )
    scene.go()
    waiting.communicate(timeout=20)
    assert scene.statuses() == {"a": "COMPLETE", "b": "COMPLETE"}
    assert process_of(pid), "it waits for more runs"
    ended = gitorch(scene.project, "stop")
    assert ended.stderr.endswith(f":{pid} has ended\n")
    scene.assert_nothing_is_left()


def test_status_shows_the_worker_and_what_it_runs(scene: Scene) -> None:
    pid = scene.detach("-j", "2")
    scene.wait_for("a", "b")
    said = gitorch(scene.project, "status").stdout
    assert re.search(
        rf":{pid} in the background, since [-\d]+ [:\d]+, 2 tasks\n  t of a, t of b\n",
        said,
    )
    [worker] = scene.workers()
    runs = {run["id"] for run in gitorch_json(scene.project, "list")["runs"]}
    assert {task["id"] for task in worker["running"]} == runs
    assert stat.S_IMODE(Path(worker["log"]).stat().st_mode) == 0o600
    gitorch(scene.project, "stop", "--now")
    assert scene.statuses() == {"a": "WAITING", "b": "WAITING"}
    scene.assert_nothing_is_left()


def test_the_log_of_the_worker_has_what_it_would_have_printed(scene: Scene) -> None:
    for words in (["logs", "--worker"], ["logs", "--worker", "1"]):
        assert gitorch(scene.project, *words, code=3).stdout == ""
    pid = scene.detach()
    scene.wait_for("a")
    following = started(scene.project, "logs", "--worker", str(pid), "-f")
    assert following.stdout is not None
    begins = following.stdout.readline()
    assert begins.endswith(f":{pid} begins: gitorch run --detach\n")
    scene.go()
    gitorch(scene.project, "wait")
    rest = following.stdout.read()
    _, title = following.communicate(timeout=20)
    assert title == f"==> worker {pid} <==\n"
    stamped = re.compile(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (?:[0-9a-f]{12}  )?", re.M
    )
    *tasks, end, summary = stamped.sub(
        "", re.sub(r"\d\.\ds", "TIME", rest)
    ).splitlines()
    assert sorted(tasks) == [
        "a: t COMPLETE in TIME",
        "a: t started",
        "b: t COMPLETE in TIME",
        "b: t started",
    ]
    assert (end, summary) == ("the worker ends", "2 runs: 2 COMPLETE")
    last = gitorch(scene.project, "logs", "--worker", "-n", "1")
    assert last.stdout == "2 runs: 2 COMPLETE\n"
    assert last.stderr == f"==> worker {pid}, which has ended <==\n"
    gitorch(scene.project, "logs", "--worker", "--task", "t", code=2)
    gitorch(scene.project, "logs", code=2)


def test_what_goes_wrong_at_the_start_is_said_on_the_terminal(scene: Scene) -> None:
    write(scene.project, "bad.yaml", "tasks: [{id: t, comand: 'true'}]\n")
    bad = gitorch(scene.project, "run", "--detach", "bad.yaml", code=1)
    assert "unknown key 'comand'" in bad.stdout + bad.stderr
    gitorch(scene.project, "run", "--detach", "-j", "none", code=2)
    gitorch(scene.project, "run", "--detach", "nothing", code=3)
    document = json.loads(
        gitorch(
            scene.project, "run", "--detach", "nothing", "--json", code=3
        ).stdout
    )
    assert document["error"]["kind"] == "not-found"
    gitorch(scene.project, "hold", "a", "b")
    nothing = gitorch(scene.project, "run", "--detach")
    assert nothing.stderr == "nothing to do: no task can be run\n"
    gitorch(scene.project, "run", "--detach", "a", code=4)
    assert not list((scene.project / ".git/gitorch/workers").glob("*.log"))


def test_json_names_the_worker(scene: Scene) -> None:
    scene.go()
    document = gitorch_json(scene.project, "run", "--detach", "-j", "2")
    assert (document["schema"], document["runs"]) == ("gitorch/run/v1", [])
    worker = document["worker"]
    assert worker.keys() == {"host", "pid", "since", "log"}
    wait_for(lambda: process_of(worker["pid"]) is None)
    assert Path(worker["log"]).read_text().endswith("\n2 runs: 2 COMPLETE\n")
    scene.assert_nothing_is_left()


def test_files_and_pipes_of_the_caller_are_not_kept_open(scene: Scene) -> None:
    ours, theirs = os.pipe()
    lock = os.open(scene.directory / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = subprocess.run(
        [sys.executable, "-m", "gitorch", "run", "--detach"],
        cwd=scene.project,
        capture_output=True,  # ends only when no process has the pipes
        pass_fds=(theirs, lock),
        timeout=20,
        check=True,
    )
    assert BEGAN.search(done.stderr.decode())
    os.close(theirs)
    os.close(lock)
    assert os.read(ours, 1) == b""
    os.close(ours)
    assert not is_held(scene.directory / "lock")
    scene.wait_for("a")
    gitorch(scene.project, "stop", "--now")
    scene.assert_nothing_is_left()


def test_two_workers_at_once(scene: Scene) -> None:
    first = scene.detach("a")
    scene.wait_for("a")
    second = scene.detach("b")
    scene.wait_for("b")
    assert [worker["pid"] for worker in scene.workers()] == [first, second]
    both = gitorch(scene.project, "logs", "--worker")
    assert both.stderr == f"==> worker {first} <==\n==> worker {second} <==\n"
    gitorch(scene.project, "kill", "a")
    wait_for(lambda: process_of(first) is None)
    gitorch(scene.project, "stop", str(second), "--now")
    assert scene.statuses() == {"b": "WAITING"}
    scene.assert_nothing_is_left()


def test_a_killed_worker_is_repaired_by_the_next(scene: Scene) -> None:
    pid = scene.detach("-j", "2")
    scene.wait_for("a", "b")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: scene.workers() == [])
    assert "its worker is gone" in gitorch(scene.project, "status").stdout
    scene.go()
    scene.detach("-j", "2")
    gitorch(scene.project, "wait", "--exit-status")
    wait_for(lambda: scene.workers() == [])
    assert scene.statuses() == {"a": "COMPLETE", "b": "COMPLETE"}
    scene.assert_nothing_is_left()


def test_ctrl_c_during_the_start_ends_it(project: Path, tmp_path: Path) -> None:
    tasks = f"""
import pathlib, time

class Slow:
    def __init__(self, config): ...
    def run(self): ...
    def validate(self):
        pathlib.Path("{tmp_path}/validates").touch()
        time.sleep(60)
"""
    commit_files(project, {"Tasks.py": tasks})
    config = write(project, "slow.yaml", "tasks: [{id: t, method: Slow}]\n")
    worker = started(project, "run", "--detach", config)
    wait_for((tmp_path / "validates").exists)
    worker.send_signal(signal.SIGINT)
    _, said = worker.communicate(timeout=20)
    assert worker.returncode == 130
    assert "interrupted" in said


def test_the_worker_has_no_terminal(scene: Scene) -> None:
    command = f"(: </dev/tty) 2>/dev/null || touch {scene.directory}/none"
    config = write(
        scene.project, "tty.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n"
    )
    seen = on_terminal(scene.project, "run", "--detach", config)
    assert seen.code == 0
    match = BEGAN.search(seen.text)
    assert match
    pid = match[1]
    assert seen.lines[-4:] == [
        f"worker {pid} works in the background, also when this terminal closes",
        f"  follow it:  gitorch logs --worker {pid} -f",
        "  wait:       gitorch wait",
        f"  stop it:    gitorch stop {pid}",
    ]
    wait_for((scene.directory / "none").exists)
    gitorch(scene.project, "stop")
