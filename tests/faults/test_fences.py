"""An attempt is executed by one worker and ends once, whatever happens to queue.db and the host.

The record and the directory of the attempt decide, not queue.db alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write

GITORCH = [sys.executable, "-m", "gitorch"]


@pytest.fixture
def worker(project: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """Start a worker, and return it when its first task has begun. It ends when `go` exists.

    The run has a second task. Each start of a task appends a line to `starts`.
    """
    write(
        project,
        "experiments/a.yaml",
        f"""
        tasks:
          - id: first
            command: >-
              echo first >> {tmp_path}/starts;
              until test -f {tmp_path}/go; do sleep 0.02; done; echo 1 > {{outputDir}}/one
          - {{id: second, command: 'echo second >> {tmp_path}/starts'}}
        """,
    )
    gitorch(project, "ready")
    backup = project.parent / "backup.db"
    shutil.copy(project / ".git/gitorch/queue.db", backup)
    process = started(project, "run")
    wait_for((tmp_path / "starts").exists)
    return process


def queue_files(project: Path) -> list[Path]:
    return sorted((project / ".git/gitorch").glob("queue.db*"))


def lose_queue(project: Path, how: str) -> None:
    """Remove or replace queue.db, with a worker that has it open."""
    if how == "queue.db alone is removed":
        (project / ".git/gitorch/queue.db").unlink()
        return
    for path in queue_files(project):
        path.rename(project.parent / f"moved-{path.name}")
    if how == "an older one is restored":
        shutil.copy(project.parent / "backup.db", project / ".git/gitorch/queue.db")


def end(worker: subprocess.Popen[str], tmp_path: Path) -> str:
    (tmp_path / "go").touch()
    _, stderr = worker.communicate(timeout=30)
    return stderr


def assert_ran_once(project: Path, tmp_path: Path) -> None:
    assert (tmp_path / "starts").read_text().split() == ["first", "second"]
    run = gitorch_json(project, "show", "a")["run"]
    assert run["status"] == "COMPLETE"
    for task in run["tasks"]:
        assert [try_["outcome"]["kind"] for try_ in task["attempts"]] == [
            "succeeded"
        ]
    assert gitorch_json(project, "doctor")["findings"] == []


WAYS = ("all is moved", "queue.db alone is removed", "an older one is restored")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_queue_that_is_lost_under_a_living_worker(
    project: Path,
    tmp_path: Path,
    worker: subprocess.Popen[str],
    way: str,
    is_stopped: bool,
) -> None:
    if is_stopped:  # it cannot notice that its queue is gone
        worker.send_signal(signal.SIGSTOP)
    lose_queue(project, way)
    gitorch(project, "run", "-j", "2")
    assert (tmp_path / "starts").read_text() == "first\n"
    if is_stopped:
        worker.send_signal(signal.SIGCONT)
    stderr = end(worker, tmp_path)
    assert worker.returncode == 0, stderr
    gitorch(project, "run")
    assert_ran_once(project, tmp_path)


def test_a_worker_that_dies_after_its_queue_was_lost_is_recovered(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    worker.send_signal(signal.SIGSTOP)
    lose_queue(project, "all is moved")
    gitorch(project, "run")
    worker.kill()
    worker.communicate()
    (tmp_path / "go").touch()
    stderr = gitorch(project, "run").stderr
    assert stderr.count("its worker died") == 1
    run = gitorch_json(project, "show", "a")["run"]
    assert run["status"] == "COMPLETE"
    assert [try_["number"] for try_ in run["tasks"][0]["attempts"]] == [1, 2]


def elsewhere(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a host of another name."""
    script = 'hostname elsewhere && exec "$@"'
    return subprocess.run(
        ["unshare", "--uts", "sh", "-c", script, "sh", *command],
        cwd=root,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


needs_namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--uts", "true"], check=False).returncode != 0,
    reason="needs the right to make a namespace",
)


@needs_namespaces
def test_another_name_of_the_host_voids_no_living_worker(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    before = gitorch_json(project, "status")["runs"]
    for words in (["status", "--json"], ["list"], ["show", "a"], ["doctor"]):
        result = elsewhere([*GITORCH, *words], project)
        assert result.returncode == 0, result.stderr
    seen = json.loads(elsewhere([*GITORCH, "status", "--json"], project).stdout)
    assert seen["counts"]["RUNNING"] == 1
    assert len(seen["workers"]) == 1
    assert seen["runs"][0]["task"] == before[0]["task"]
    assert elsewhere([*GITORCH, "run"], project).returncode == 0
    assert (tmp_path / "starts").read_text() == "first\n"
    stderr = end(worker, tmp_path)
    assert worker.returncode == 0, stderr
    assert_ran_once(project, tmp_path)


@needs_namespaces
def test_a_worker_of_another_host_name_is_killed_through_its_queue(
    project: Path, worker: subprocess.Popen[str]
) -> None:
    result = elsewhere([*GITORCH, "kill", "--yes", "a"], project)
    assert result.returncode == 0, result.stderr
    _, stderr = worker.communicate(timeout=30)
    assert "was not accepted: its run was killed" in stderr
    assert gitorch_json(project, "list")["runs"] == []


def test_a_lock_file_that_was_removed_voids_no_living_worker(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    for path in (project / ".git/gitorch/workers").iterdir():
        path.unlink()
    gitorch(project, "run")
    assert len(gitorch_json(project, "status")["workers"]) == 1
    stderr = end(worker, tmp_path)
    assert worker.returncode == 0, stderr
    assert_ran_once(project, tmp_path)


@pytest.mark.parametrize("command", ["status", "list", "show", "logs"])
def test_a_reader_changes_nothing_for_a_dead_worker(
    project: Path, worker: subprocess.Popen[str], command: str
) -> None:
    worker.kill()
    worker.communicate()
    before = gitorch(project, "show", "a", "--json").stdout
    gitorch(project, command, *(["a"] if command in ("show", "logs") else []))
    assert gitorch(project, "show", "a", "--json").stdout == before
    assert gitorch_json(project, "doctor", code=1)["findings"] != []


def test_two_workers_with_one_attempt_have_one_end(
    project: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    """Two workspaces: nothing prevents that the attempt is executed in both of them."""
    lose_queue(project, "all is moved")
    worker.send_signal(signal.SIGSTOP)
    (tmp_path / "go").touch()
    other = subprocess.run(
        [*GITORCH, "run"],
        cwd=project,
        env={**os.environ, "GITORCH_WORKSPACE": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert other.returncode == 0, other.stderr
    accepted = gitorch_json(project, "show", "a")["run"]
    worker.send_signal(signal.SIGCONT)
    _, stderr = worker.communicate(timeout=30)
    assert worker.returncode == 1
    [line] = [line for line in stderr.splitlines() if "not accepted" in line]
    assert line.startswith(
        f"{accepted['id']}  a: first: the end of attempt 1 was not"
    )
    assert "has completed the task" in line
    kept = Path(line.partition("its log and outputs are in ")[2])
    assert (kept / "log.txt").exists()
    assert (kept / "output").is_dir()
    after = gitorch_json(project, "show", "a")["run"]
    assert after == accepted
    assert git(project, "fsck", "--full") == ""
