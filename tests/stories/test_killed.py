"""kill -9 of a worker at any moment.

The next worker finishes all runs, and no task that was recorded as complete runs again.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write

ROUNDS = 20
RUNS = 6


def processes_of(marker: str) -> list[int]:
    """Return the processes that have `marker` in their environment or command line."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "environ").read_bytes() + (
                entry / "cmdline"
            ).read_bytes()
        except OSError:
            continue  # the process has ended
        if marker.encode() in text:
            pids.append(int(entry.name))
    return pids


def starts(counters: Path) -> dict[str, int]:
    """Return how often each task was started, by the name of its counter."""
    return {
        path.name: len(path.read_text().splitlines()) for path in counters.iterdir()
    }


@pytest.mark.timeout(300)
def test_a_worker_killed_twenty_times_at_a_random_moment(
    project: Path, tmp_path: Path
) -> None:
    """Each task counts its starts. A task that is recorded as complete must not start again."""
    counters = tmp_path / "counters"
    counters.mkdir()
    chance = random.Random(7)
    for number in range(RUNS):
        write(
            project,
            f"experiments/run{number}.yaml",
            f"""
            counters: {counters}
            number: {number}
            tasks:
              - id: first
                command: >-
                  echo s >> {{counters}}/first{{number}};
                  sleep 0.05; echo 1 > {{outputDir}}/a
              - id: second
                command: >-
                  echo s >> {{counters}}/second{{number}};
                  (sleep 30 &) ; cat {{outputDir}}/a
            """,
        )
    killed_while_working = 0
    for _ in range(ROUNDS):
        gitorch(project, "ready", "--again")
        starts_before = starts(counters)
        worker = started(project, "run", "-j", "2")
        time.sleep(chance.uniform(0.1, 0.45))
        if worker.poll() is None:
            killed_while_working += 1
        worker.send_signal(signal.SIGKILL)
        worker.communicate()

        complete_at_death = complete_tasks(project)
        gitorch(project, "run", "-j", "2")

        assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
            "COMPLETE"
        }
        assert gitorch_json(project, "status")["runs"] == []
        assert complete_at_death.items() <= complete_tasks(project).items(), (
            "a task that was complete did not run again"
        )
        for name, count in starts(counters).items():
            assert count > starts_before.get(name, 0)
        wait_for(lambda: not processes_of(str(project)), 10)
    assert killed_while_working >= ROUNDS / 2
    assert git(project, "fsck", "--full", "--no-dangling") == ""
    with sqlite3.connect(project / ".git/gitorch/queue.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def complete_tasks(root: Path) -> dict[tuple[str, str], int]:
    """Return the number of attempts of each complete task, by run and task."""
    return {
        (record["id"], task["id"]): task["attempt_count"]
        for record in ResultsBranch(Repository.discover(root)).records()
        for task in record["tasks"]
        if task["status"] == "COMPLETE"
    }


def test_the_next_start_kills_the_processes_of_a_killed_worker(
    project: Path, tmp_path: Path
) -> None:
    """Worker, supervisor and slots die together, so the task goes on.

    The next worker kills the task's processes and runs the task again.
    """
    command = f"echo s >> {tmp_path}/begun; test -f {tmp_path}/go || exec sleep 300"
    write(
        project, "experiments/a.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n"
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    ours = processes_of(os.environ["HOME"])  # each test has its own HOME
    tasks = [
        pid
        for pid in ours
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")
    ]
    # All are stopped first, so that none of them notices the death of another.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in set(ours) - set(tasks):
            os.kill(pid, number)
    worker.communicate()
    assert [pid for pid in tasks if Path(f"/proc/{pid}").exists()] == tasks, (
        "the task's processes are still alive"
    )
    (tmp_path / "go").touch()
    stderr = gitorch(project, "run").stderr
    assert "returned to the queue (lost: its worker died)" in stderr
    assert not [pid for pid in tasks if is_alive(pid)]
    shown = gitorch_json(project, "show", "@")["run"]
    assert shown["status"] == "COMPLETE"
    assert [
        attempt["outcome"]["kind"] for attempt in shown["tasks"][0]["attempts"]
    ] == [
        "lost",
        "succeeded",
    ]


def is_alive(pid: int) -> bool:
    """Return True if the process exists and is not a zombie, whose command line is empty."""
    command = Path(f"/proc/{pid}/cmdline")
    return command.exists() and command.read_bytes() != b""


def test_a_repository_continues_without_its_queue(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: one, command: echo 1}, {id: two, command: exit 1}]\n",
    )
    write(project, "experiments/b.yaml", "tasks: [{id: one, command: echo 1}]\n")
    gitorch(project, "run", "experiments/a.yaml", code=1)
    gitorch(project, "ready", "experiments/b.yaml")
    for path in (project / ".git/gitorch").glob("queue.db*"):
        path.unlink()
    gitorch(project, "run", code=0)
    runs = {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }
    assert runs == {"a": "ERROR", "b": "COMPLETE"}
    gitorch(project, "retry", "a")
    gitorch(project, "run", code=1)
    shown = gitorch_json(project, "show", "a")["run"]
    assert [task["attempt_count"] for task in shown["tasks"]] == [1, 2]


def test_two_workers_share_a_queue(project: Path, tmp_path: Path) -> None:
    for number in range(12):
        write(
            project,
            f"experiments/r{number}.yaml",
            f"n: {number}\ntasks: [{{id: t, command: 'echo s >> {tmp_path}/{{n}}'}}]\n",
        )
    gitorch(project, "ready")
    workers = [started(project, "run", "-j", "2") for _ in range(3)]
    for worker in workers:
        _, stderr = worker.communicate(timeout=60)
        assert worker.returncode == 0, stderr
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "COMPLETE"
    }
    assert [(tmp_path / str(number)).read_text() for number in range(12)] == [
        "s\n"
    ] * 12


def test_a_task_that_ended_before_its_worker_died_is_collected_and_counts(
    project: Path, tmp_path: Path
) -> None:
    """The worker died before it recorded the task's end. The next `gitorch run` reports the end."""
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: t, command: 'touch {tmp_path}/begun; sleep 0.2; exit 3'}}]\n",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGSTOP)
    wait_for(
        lambda: list(project.parent.glob("project.gitorch/*/log/t/1/status.json"))
    )
    worker.kill()
    worker.communicate()
    worked = gitorch(project, "run", "experiments/a.yaml", code=1)
    assert "t ERROR" in worked.stderr
    assert "exit code 3" in worked.stderr
    assert (
        gitorch_json(project, "show", "a")["run"]["tasks"][0]["attempt_count"] == 1
    )


def test_a_running_worker_takes_over_from_a_dead_one(
    project: Path, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    command = f"echo s >> {begun}; test $(wc -l < {begun}) -gt 1 || exec sleep 300"
    write(
        project, "experiments/a.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n"
    )
    gitorch(project, "ready")
    killed = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    other = started(project, "run", "--watch")
    wait_for(lambda: len(gitorch_json(project, "status")["workers"]) == 2)
    killed.kill()
    killed.communicate()
    wait_for(
        lambda: (
            [run["status"] for run in gitorch_json(project, "list")["runs"]]
            == ["COMPLETE"]
        )
    )
    other.terminate()
    _, stderr = other.communicate(timeout=20)
    assert "returned to the queue (lost: its worker died)" in stderr
    assert gitorch_json(project, "status")["workers"] == []
