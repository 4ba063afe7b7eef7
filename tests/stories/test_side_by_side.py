"""Tasks that run in parallel in one worktree, and the verbs that continue such a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

PARALLEL = ("a", "b", "c")


def shown(project: Path) -> Any:
    return gitorch_json(project, "show", "@")["run"]


@pytest.mark.parametrize("at", [(), ("--at", "HEAD")])
def test_parallel_tasks_all_start_with_the_files_of_the_commit(
    project: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """Changes of tracked files by first attempts are undone before any second attempt starts."""
    dirty_first = "test $GITORCH_ATTEMPT = 2 || (echo dirt >> version; exit 1)"
    command = f"cat version >> {tmp_path}/$GITORCH_TASK_ID; {dirty_first}"
    # The slow filter makes the restoration of the file take a while.
    git(project, "config", "filter.slow.smudge", "sleep 0.3; cat")
    commit_files(
        project, {"version": "1\n", ".gitattributes": "version filter=slow\n"}
    )
    tasks = ", ".join(
        f"{{id: {task}, needs: [], command: '{command}'}}" for task in PARALLEL
    )
    write(project, "experiments/a.yaml", f"tasks: [{tasks}]\n")
    gitorch(project, "run", "experiments", code=1)
    if at:
        commit_files(project, {"version": "2\n"})
    gitorch(project, "retry", "@", *at)
    gitorch(project, "run", "-j", "3")
    expected = "2\n" if at else "1\n"
    assert {(tmp_path / task).read_text()[-2:] for task in PARALLEL} == {expected}
    assert [
        task["attempts"][-1]["modified"] for task in shown(project)["tasks"]
    ] == [[]] * 3


@pytest.fixture
def diamond(project: Path, tmp_path: Path) -> Path:
    """Write a config of two parallel tasks `left` and `right`, which `last` needs.

    Return a directory in which each task notes its attempts. A task fails until the subdirectory
    `repaired` has a file with the task's name.
    """
    directory = tmp_path / "noted"
    (directory / "repaired").mkdir(parents=True)
    command = (
        f"echo $GITORCH_ATTEMPT >> {directory}/$GITORCH_TASK_ID; sleep 0.1; "
        f"test -f {directory}/repaired/$GITORCH_TASK_ID"
    )
    write(
        project,
        "experiments/a.yaml",
        f"""
        tasks:
          - {{id: left, needs: [], command: "{command}"}}
          - {{id: right, needs: [], command: "{command}"}}
          - {{id: last, needs: [left, right], command: "{command}"}}
        """,
    )
    return directory


def attempts(directory: Path) -> dict[str, list[str]]:
    """Return the numbers of the attempts that each task noted."""
    return {
        path.name: path.read_text().split()
        for path in sorted(directory.iterdir())
        if path.is_file()
    }


def statuses(project: Path) -> list[str]:
    """Return the status of the latest run, and of each of its tasks."""
    record = shown(project)
    return [record["status"], *(task["status"] for task in record["tasks"])]


def repair(directory: Path, *tasks: str) -> None:
    for task in tasks:
        (directory / "repaired" / task).touch()


def test_when_one_task_fails_the_parallel_task_continues(
    project: Path, tmp_path: Path, diamond: Path
) -> None:
    go = tmp_path / "go"
    config = (project / "experiments/a.yaml").read_text()
    waiting = f"while test ! -f {go}; do sleep 0.05; done; "
    write(
        project,
        "experiments/a.yaml",
        config.replace(
            'right, needs: [], command: "', f'right, needs: [], command: "{waiting}'
        ),
    )
    repair(diamond, "right")
    gitorch(project, "ready")
    worker = started(project, "run", "-j", "2")
    wait_for(lambda: statuses(project)[1] == "ERROR")
    assert statuses(project) == ["RUNNING", "ERROR", "RUNNING", "WAITING"]
    assert (
        "RUNNING, and retry is for ERROR"
        in gitorch(project, "retry", "@", code=4).stderr
    )
    assert (
        "RUNNING, and retry is for ERROR"
        in gitorch(project, "retry", "@", "--from", "left", code=4).stderr
    )
    go.touch()
    worker.communicate(timeout=30)
    assert worker.returncode == 1
    assert statuses(project) == ["ERROR", "ERROR", "COMPLETE", "WAITING"]
    repair(diamond, "left", "last")
    gitorch(project, "retry", "@")
    gitorch(project, "run", "-j", "2")
    assert attempts(diamond) == {"left": ["1", "2"], "right": ["1"], "last": ["1"]}


def test_two_failed_tasks_are_retried_after_hold_and_release(
    project: Path, diamond: Path
) -> None:
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    assert statuses(project) == ["ERROR", "ERROR", "ERROR", "WAITING"]
    gitorch(project, "retry", "@")
    gitorch(project, "hold", "@")
    gitorch(project, "run", "-j", "2")
    assert statuses(project) == ["HOLD"] * 4
    gitorch(project, "release", "@")
    repair(diamond, "right", "last")
    gitorch(project, "run", "-j", "2", code=1)
    repair(diamond, "left")
    gitorch(project, "retry", "@", "--from", "left")
    assert statuses(project) == ["WAITING", "WAITING", "COMPLETE", "WAITING"]
    gitorch(project, "run", "-j", "2")
    assert attempts(diamond) == {
        "left": ["1", "2", "3"],
        "right": ["1", "2"],
        "last": ["1"],
    }


@pytest.mark.parametrize("lost", [(), ("queue",), ("queue", "workspace")])
def test_a_failed_run_is_resubmitted(
    project: Path, diamond: Path, lost: tuple[str, ...]
) -> None:
    repair(diamond, "left", "right")
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    gitorch(project, "fail", "@")
    if "queue" in lost:
        for path in (project / ".git/gitorch").glob("queue.db*"):
            path.unlink()
    if "workspace" in lost:
        shutil.rmtree(project.parent / "project.gitorch")
    gitorch(project, "resubmit", "@")
    assert statuses(project) == ["WAITING", "COMPLETE", "COMPLETE", "WAITING"]
    repair(diamond, "last")
    gitorch(project, "run", "-j", "2")
    assert attempts(diamond) == {"left": ["1"], "right": ["1"], "last": ["1", "2"]}
    gitorch(project, "rerun", "@", "-j", "2")
    assert attempts(diamond) == {
        "left": ["1", "1"],
        "right": ["1", "1"],
        "last": ["1", "2", "1"],
    }
    assert statuses(project) == ["COMPLETE"] * 4


def test_parallel_tasks_of_different_commits(project: Path, diamond: Path) -> None:
    """A repeated task runs at the run's commit, even if an earlier attempt had another commit."""
    repair(diamond, "left")
    first = git(project, "rev-parse", "HEAD")
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    second = commit_files(project, {"README.md": "Other.\n"})
    gitorch(project, "retry", "@", "--at", "HEAD")
    gitorch(project, "run", "-j", "2", code=1)
    pins = {task["id"]: task["pin"]["commit"] for task in shown(project)["tasks"]}
    assert pins == {"left": first, "right": second, "last": second}
    repair(diamond, "right", "last")
    gitorch(project, "retry", "@", "--from", "left")
    gitorch(project, "run", "-j", "2")
    assert {task["pin"]["commit"] for task in shown(project)["tasks"]} == {second}
    assert attempts(diamond) == {
        "left": ["1", "2"],
        "right": ["1", "2", "3"],
        "last": ["1"],
    }


def test_the_history_names_the_failed_task_although_another_task_ended_last(
    project: Path,
) -> None:
    config = """
        tasks:
          - {id: bad, command: exit 3, needs: []}
          - {id: slow, command: "sleep 0.3", needs: []}
    """
    write(project, "experiments/both.yaml", config)
    gitorch(project, "run", "experiments/both.yaml", "-j", "2", code=1)
    ended = gitorch_json(project, "show", "@")["run"]["history"][-1]
    assert (ended["to"], ended["why"]) == ("ERROR", "bad: exit code 3")
