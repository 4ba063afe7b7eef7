"""Tasks that run beside each other in one worktree, and the verbs that let such a run go on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write

BESIDE = ("a", "b", "c")


def shown(project: Path) -> Any:
    return gitorch_json(project, "show", "@")["run"]


@pytest.mark.parametrize("at", [(), ("--at", "HEAD")])
def test_all_of_them_begin_with_the_files_of_the_commit(
    project: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """What the first attempts did to tracked files is undone before any of the second begins, not meanwhile."""
    command = f"cat version >> {tmp_path}/$GITORCH_TASK_ID; test $GITORCH_ATTEMPT = 2 || (echo dirt >> version; exit 1)"
    git(project, "config", "filter.slow.smudge", "sleep 0.3; cat")  # it takes a while to undo
    commit_files(project, {"version": "1\n", ".gitattributes": "version filter=slow\n"})
    tasks = ", ".join(f"{{id: {task}, needs: [], command: '{command}'}}" for task in BESIDE)
    write(project, "experiments/a.yaml", f"tasks: [{tasks}]\n")
    gitorch(project, "run", "experiments", code=1)
    if at:
        commit_files(project, {"version": "2\n"})
    gitorch(project, "retry", "@", *at)
    gitorch(project, "run", "-j", "3")
    second = "2\n" if at else "1\n"
    assert {(tmp_path / task).read_text()[-2:] for task in BESIDE} == {second}
    assert [task["attempts"][-1]["modified"] for task in shown(project)["tasks"]] == [[]] * 3


@pytest.fixture
def diamond(project: Path, tmp_path: Path) -> Path:
    """A run of left and right beside each other, and last after both; gives where each notes its attempts.

    A task fails until a file of its name is in `mended`.
    """
    place = tmp_path / "noted"
    (place / "mended").mkdir(parents=True)
    command = f"echo $GITORCH_ATTEMPT >> {place}/$GITORCH_TASK_ID; sleep 0.1; test -f {place}/mended/$GITORCH_TASK_ID"
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
    return place


def attempts(place: Path) -> dict[str, list[str]]:
    return {
        path.name: path.read_text().split() for path in sorted(place.iterdir()) if path.is_file()
    }


def statuses(project: Path) -> list[str]:
    record = shown(project)
    return [record["status"], *(task["status"] for task in record["tasks"])]


def mend(place: Path, *tasks: str) -> None:
    for task in tasks:
        (place / "mended" / task).touch()


def test_when_one_fails_the_other_goes_on_to_its_end(
    project: Path, tmp_path: Path, diamond: Path
) -> None:
    go = tmp_path / "go"
    config = (project / "experiments/a.yaml").read_text()
    waiting = f"while test ! -f {go}; do sleep 0.05; done; "
    write(
        project,
        "experiments/a.yaml",
        config.replace('right, needs: [], command: "', f'right, needs: [], command: "{waiting}'),
    )
    mend(diamond, "right")
    gitorch(project, "ready")
    worker = started(project, "run", "-j", "2")
    wait_for(lambda: statuses(project)[1] == "ERROR")
    assert statuses(project) == ["RUNNING", "ERROR", "RUNNING", "WAITING"]
    assert "RUNNING, and retry is for ERROR" in gitorch(project, "retry", "@", code=4).stderr
    assert (
        "RUNNING, and retry is for ERROR"
        in gitorch(project, "retry", "@", "--from", "left", code=4).stderr
    )
    go.touch()
    worker.communicate(timeout=30)
    assert worker.returncode == 1
    assert statuses(project) == ["ERROR", "ERROR", "COMPLETE", "WAITING"]
    mend(diamond, "left", "last")
    gitorch(project, "retry", "@")
    gitorch(project, "run", "-j", "2")
    assert attempts(diamond) == {"left": ["1", "2"], "right": ["1"], "last": ["1"]}


def test_both_fail_and_go_on_held_or_not(project: Path, diamond: Path) -> None:
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    assert statuses(project) == ["ERROR", "ERROR", "ERROR", "WAITING"]
    gitorch(project, "retry", "@")
    gitorch(project, "hold", "@")
    gitorch(project, "run", "-j", "2")
    assert statuses(project) == ["HOLD"] * 4
    gitorch(project, "release", "@")
    mend(diamond, "right", "last")
    gitorch(project, "run", "-j", "2", code=1)
    mend(diamond, "left")
    gitorch(project, "retry", "@", "--from", "left")
    assert statuses(project) == ["WAITING", "WAITING", "COMPLETE", "WAITING"]
    gitorch(project, "run", "-j", "2")
    assert attempts(diamond) == {"left": ["1", "2", "3"], "right": ["1", "2"], "last": ["1"]}


@pytest.mark.parametrize("lost", [(), ("queue",), ("queue", "workspace")])
def test_given_up_and_resubmitted(project: Path, diamond: Path, lost: tuple[str, ...]) -> None:
    mend(diamond, "left", "right")
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    gitorch(project, "fail", "@")
    if "queue" in lost:
        for path in (project / ".git/gitorch").glob("queue.db*"):
            path.unlink()
    if "workspace" in lost:
        shutil.rmtree(project.parent / "project.gitorch")
    gitorch(project, "resubmit", "@")
    assert statuses(project) == ["WAITING", "COMPLETE", "COMPLETE", "WAITING"]
    mend(diamond, "last")
    gitorch(project, "run", "-j", "2")
    assert attempts(diamond) == {"left": ["1"], "right": ["1"], "last": ["1", "2"]}
    gitorch(project, "rerun", "@", "-j", "2")
    assert attempts(diamond) == {"left": ["1", "1"], "right": ["1", "1"], "last": ["1", "2", "1"]}
    assert statuses(project) == ["COMPLETE"] * 4


def test_a_task_of_an_earlier_commit_beside_one_of_a_later(project: Path, diamond: Path) -> None:
    """What is repeated runs at the run's commit, also where it was done at an earlier one and not named."""
    mend(diamond, "left")
    first = git(project, "rev-parse", "HEAD")
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    second = commit_files(project, {"README.md": "Other.\n"})
    gitorch(project, "retry", "@", "--at", "HEAD")
    gitorch(project, "run", "-j", "2", code=1)
    pins = {task["id"]: task["pin"]["commit"] for task in shown(project)["tasks"]}
    assert pins == {"left": first, "right": second, "last": second}
    mend(diamond, "right", "last")
    gitorch(project, "retry", "@", "--from", "left")
    gitorch(project, "run", "-j", "2")
    assert {task["pin"]["commit"] for task in shown(project)["tasks"]} == {second}
    assert attempts(diamond) == {"left": ["1", "2"], "right": ["1", "2", "3"], "last": ["1"]}


def test_the_history_says_what_failed_although_another_task_ended_last(project: Path) -> None:
    config = """
        tasks:
          - {id: bad, command: exit 3, needs: []}
          - {id: slow, command: "sleep 0.3", needs: []}
    """
    write(project, "experiments/both.yaml", config)
    gitorch(project, "run", "experiments/both.yaml", "-j", "2", code=1)
    ended = gitorch_json(project, "show", "@")["run"]["history"][-1]
    assert (ended["to"], ended["why"]) == ("ERROR", "bad: exit code 3")
