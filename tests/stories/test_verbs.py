"""Every verb from every status, through the command line.

Only the transitions of the table TRANSITIONS change a run.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from gitorch.model.run.status import TRANSITIONS, Status
from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write

VERBS = ("hold", "release", "kill", "retry", "fail", "resubmit")
ALLOWED = {(move.source, move.verb): move.target for move in TRANSITIONS}


@pytest.fixture
def in_status(project: Path, tmp_path: Path) -> Iterator[dict[Status, str]]:
    """Create one run in each status, and yield the run ids by status.

    The RUNNING run has a second task, which waits for the running one.
    """
    go = tmp_path / "go"
    until_go = f"touch {tmp_path}/begun; while test ! -f {go}; do sleep 0.05; done"
    configs = {
        Status.COMPLETE: "tasks: [{id: t, command: 'true'}]",
        Status.ERROR: "tasks: [{id: t, command: 'false'}]",
        Status.FAILED: "tasks: [{id: t, command: 'exit 2'}]",
        Status.RUNNING: f"tasks: [{{id: t, command: '{until_go}'}}, {{id: u, command: 'true'}}]",
        Status.HOLD: "tasks: [{id: t, command: 'echo held'}]",
        Status.WAITING: "tasks: [{id: t, command: 'echo waiting'}]",
    }
    for status, config in configs.items():
        write(project, f"experiments/{status.lower()}.yaml", config + "\n")
    gitorch(
        project,
        "run",
        *(f"experiments/{name}.yaml" for name in ("complete", "error", "failed")),
        code=1,
    )
    gitorch(project, "fail", "failed")
    gitorch(project, "ready")
    gitorch(project, "hold", "hold")
    worker = started(project, "run", "running")
    wait_for((tmp_path / "begun").exists)
    yield {status: run_id for run_id, status in statuses(project).items()}
    go.touch()
    worker.communicate(timeout=30)


def statuses(root: Path) -> dict[str, Status]:
    return {
        run["id"]: Status(run["status"])
        for run in gitorch_json(root, "list")["runs"]
    }


def tip(root: Path) -> str:
    return git(root, "rev-parse", "gitorch/results")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_from_every_status(
    project: Path, in_status: dict[Status, str], verb: str
) -> None:
    assert set(in_status) == set(Status)
    for status, run_id in in_status.items():
        before = (statuses(project), tip(project))
        done = gitorch(project, verb, run_id, "--yes", "--json", code=None)
        if (status, verb) not in ALLOWED:
            assert done.returncode == 4, f"{verb} from {status}"
            assert (statuses(project), tip(project)) == before, (
                f"{verb} from {status} changed something"
            )
            refused = gitorch(project, verb, run_id, code=4).stderr
            assert run_id in refused
            assert str(status) in refused
            assert "possible" in refused
            continue
        assert done.returncode == 0, f"{verb} from {status}: {done.stdout}"
        target = ALLOWED[status, verb]
        if target is None:
            assert run_id not in statuses(project)
            assert run_id in git(
                project, "show", f"gitorch/results:killed/{run_id[:2]}"
            )
        elif (status, verb) == (Status.RUNNING, "hold"):
            history = record_of(project, run_id)["history"]
            [change] = [change for change in history if change["to"] == "HOLD"]
            assert change["from"] == "RUNNING"
        else:
            assert statuses(project)[run_id] is target
            assert record_of(project, run_id)["history"][-1]["to"] == target


def record_of(root: Path, run_id: str) -> dict:
    record = ResultsBranch(Repository.discover(root)).record(run_id)
    assert record is not None
    return record


@pytest.mark.parametrize(
    "how",
    [
        ["complete"],
        ["complete", "-y"],
        ["--name", "complete"],
        ["--status", "COMPLETE"],
        ["--all", "-y"],
    ],
)
def test_kill_never_deletes_a_complete_run(project: Path, how: list[str]) -> None:
    write(
        project, "experiments/complete.yaml", "tasks: [{id: t, command: 'true'}]\n"
    )
    gitorch(project, "run", "experiments")
    before = tip(project)
    gitorch(project, "kill", *how, code=4 if how[0] == "complete" else 0)
    assert tip(project) == before
    assert list(statuses(project).values()) == [Status.COMPLETE]


def test_either_all_named_runs_change_or_none(project: Path) -> None:
    for name in ("a", "b"):
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: 'echo {name}'}}]\n",
        )
    gitorch(project, "ready")
    gitorch(project, "hold", "a")
    before = tip(project)
    gitorch(project, "hold", "a", "b", code=4)
    assert tip(project) == before
    changed = gitorch_json(project, "hold", "--all")
    assert [change["to"] for change in changed["changed"]] == ["HOLD"]
    assert len(changed["refused"]) == 1
    commits_before = int(git(project, "rev-list", "--count", "gitorch/results"))
    gitorch(project, "release", "a", "b", "--why", "they may")
    commits = int(git(project, "rev-list", "--count", "gitorch/results"))
    assert commits == commits_before + 1, "one commit for both"
    assert (
        record_of(project, next(iter(statuses(project))))["history"][-1]["why"]
        == "they may"
    )


def test_a_held_run_does_not_start_and_a_running_one_stops_after_its_task(
    project: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first = f"touch {tmp_path}/begun; while test ! -f {go}; do sleep 0.05; done"
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: t, command: '{first}'}}, {{id: u, command: echo second}}]\n",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    gitorch(project, "hold", "a", "--why", "for a look")
    assert list(statuses(project).values()) == [Status.RUNNING]
    go.touch()
    worker.communicate(timeout=30)
    assert list(statuses(project).values()) == [Status.HOLD]
    assert (
        "held by A. Researcher" in gitorch_json(project, "status")["runs"][0]["why"]
    )
    gitorch(project, "run")
    assert list(statuses(project).values()) == [Status.HOLD]
    gitorch(project, "release", "a")
    gitorch(project, "run")
    assert list(statuses(project).values()) == [Status.COMPLETE]


# Starts two daemons that ignore SIGTERM: one with the task's environment, one with an empty one.
DAEMONS = """
import os, signal, subprocess, sys, time
for environment in (dict(os.environ), {}):
    subprocess.Popen([sys.executable, "-c",
        "import os, signal, time; os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('MARK', flush=True); time.sleep(300)", "daemon-of-" + sys.argv[1]], env=environment)
time.sleep(0.2)
open(sys.argv[1], "w").close()
time.sleep(300)
"""


def daemons(mark: Path) -> list[str]:
    """Return the ids of the daemons that were started with this path."""
    command = ["pgrep", "-f", f"daemon-of-{mark}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_kill_ends_all_processes_before_the_record_is_removed(
    project: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "begun"
    write(project, "daemons.py", DAEMONS)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "daemons")
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: t, command: [python, daemons.py, {mark}]}}]\n",
    )
    git(project, "config", "gitorch.grace", "1")
    gitorch(project, "ready")
    worker = started(project, "run", "--json")
    wait_for(mark.exists)
    assert len(daemons(mark)) == 2
    [run_id] = statuses(project)
    gitorch(project, "kill", "--yes", "a", "--why", "not needed")
    assert daemons(mark) == []
    assert statuses(project) == {}
    assert "not needed" in git(
        project, "log", "-1", "--format=%s", "gitorch/results"
    )
    printed, said = worker.communicate(timeout=30)
    assert worker.returncode == 1
    assert json.loads(printed)["killed"] == [{"id": run_id, "label": "a"}]
    assert "was not accepted: its run was killed" in said
    for words in (("show", run_id), ("logs", run_id[:6]), ("retry", run_id)):
        message = gitorch(project, *words, code=3).stderr
        assert f"the run {run_id} was killed at 2" in message
        assert " by A. Researcher: not needed\n" in message
    assert statuses(project) == {}, "the result of a killed run is not accepted"
    assert not (tmp_path / "project.gitorch" / run_id).exists()


def test_a_failed_run_is_resubmitted_from_its_record_alone(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: one, command: echo one}, {id: two, command: test -f x}]\n",
    )
    gitorch(project, "run", "experiments", code=1)
    gitorch(project, "fail", "a")
    for path in (project / ".git/gitorch").glob("queue.db*"):
        path.unlink()
    gitorch(project, "resubmit", "a")
    assert list(statuses(project).values()) == [Status.WAITING]
    gitorch(project, "run", code=1)
    assert [
        task["attempt_count"]
        for task in gitorch_json(project, "show", "a")["run"]["tasks"]
    ] == [1, 2]


def test_ready_with_hold_and_with_priority(project: Path, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: 'echo {name} >> {tmp_path}/order'}}]\n",
        )
    gitorch(project, "ready", "experiments/first.yaml", "experiments/second.yaml")
    held = gitorch(
        project, "ready", "experiments/third.yaml", "--hold", "--priority", "5"
    )
    assert held.stderr.endswith("next: gitorch release --all\n")
    gitorch(project, "set", "second", "--priority", "3")
    gitorch(project, "run")
    assert (tmp_path / "order").read_text().split() == ["second", "first"]
    gitorch(project, "release", "third")
    gitorch(project, "run")
    assert (tmp_path / "order").read_text().split() == ["second", "first", "third"]
    assert record_of(project, next(iter(statuses(project))))["priority"] == 5
    gitorch(project, "set", "third", "--priority", "1", code=4)
