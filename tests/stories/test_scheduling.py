"""The order of tasks, their retries and time limits, and how many of them run in parallel."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from gitorch.tools import clock
from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write


def test_higher_priority_runs_first_and_equal_priority_in_queue_order(
    project: Path, tmp_path: Path
) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        config = f"""
            tasks:
              - id: t
                command: echo {name} >> {tmp_path}/order
                gitorch: {{priority: {priority}}}
            """
        write(project, f"experiments/{name}.yaml", config)
    gitorch(project, "ready")
    gitorch(project, "run")
    assert (tmp_path / "order").read_text().split() == ["b", "d", "a", "c"]


CHAIN = """
    gitorch: {{name: {name}, {options}}}
    of: {name}
    tasks:
      - {{id: one, command: 'echo {name}1 >> {order}'}}
      - {{id: two, command: 'echo {name}2 >> {order}; {middle}'}}
      - {{id: three, command: 'echo {name}3 >> {order}'}}
    """


@pytest.mark.parametrize("middle", ["true", "sleep 0.4"])
@pytest.mark.parametrize("options", ["", "retries: 1"])
def test_a_run_that_has_begun_goes_on_before_the_next_run(
    project: Path, tmp_path: Path, middle: str, options: str
) -> None:
    """Nothing is claimed ahead of the next task of a run, also after a chain of short tasks."""
    for name in "abc":
        config = CHAIN.format(
            name=name, options=options, middle=middle, order=tmp_path / "order"
        )
        write(project, f"experiments/{name}.yaml", config)
    gitorch(project, "ready")
    gitorch(project, "run")
    expected = [f"{name}{number}" for name in "abc" for number in (1, 2, 3)]
    assert (tmp_path / "order").read_text().split() == expected


def test_an_urgent_run_interrupts_a_run_that_has_begun(
    project: Path, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    middle = f"until test -f {tmp_path}/go; do sleep 0.02; done"
    for name, options in (("a", ""), ("b", "priority: 1")):
        config = CHAIN.format(
            name=name, options=options, middle=middle, order=order
        )
        path = write(project, f"experiments/{name}.yaml", config)
        if name == "a":
            gitorch(project, "ready", path)
            worker = started(project, "run")
            wait_for(lambda: order.exists() and "a2" in order.read_text())
        else:
            gitorch(project, "ready", path)
    (tmp_path / "go").touch()
    worker.communicate(timeout=30)
    assert order.read_text().split() == ["a1", "a2", "b1", "b2", "b3", "a3"]


def test_what_is_claimed_ahead_is_not_shown_as_running(project: Path) -> None:
    for number in range(12):
        write(
            project,
            f"experiments/{number:02}.yaml",
            f"{{of: {number}, tasks: [{{id: t, command: sleep 0.15}}]}}",
        )
    gitorch(project, "ready")
    worker = started(project, "run")
    seen: dict[str, str] = {}  # when each run was first seen to run
    while worker.poll() is None:
        status = gitorch_json(project, "status")
        moment = clock.now()
        for run in status["runs"]:
            if run["status"] == "RUNNING":
                seen.setdefault(run["id"], moment)
    worker.communicate()
    runs = gitorch_json(project, "list")["runs"]
    assert seen
    for run in runs:
        assert run["started"] <= seen.get(run["id"], run["started"])
    runs.sort(key=lambda run: str(run["started"]))
    for earlier, later in pairwise(runs):
        assert earlier["ended"] <= later["started"]


def test_a_task_that_exceeds_its_time_limit_is_stopped(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: sleep 60, gitorch: {timeout: 0.3s}}]\n",
    )
    begun = time.monotonic()
    stderr = gitorch(project, "run", "experiments", code=1).stderr
    assert time.monotonic() - begun < 20
    assert "timed out" in stderr
    [attempt] = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert attempt["outcome"]["kind"] == "timeout"


def test_retries_are_automatic_and_all_attempts_are_kept(
    project: Path, tmp_path: Path
) -> None:
    command = f"echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -ge 3"
    retries = "{max: 2, backoff: 0.2s}"
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: t, command: '{command}', gitorch: {{retries: {retries}}}}}]\n",
    )
    gitorch(project, "run", "experiments")
    attempts = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert [attempt["outcome"]["kind"] for attempt in attempts] == [
        "exit-code",
        "exit-code",
        "succeeded",
    ]


def test_retries_are_limited(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: exit 1, gitorch: {retries: 1}}]\n",
    )
    gitorch(project, "run", "experiments", code=1)
    shown = gitorch_json(project, "show", "@")["run"]
    assert (shown["status"], shown["tasks"][0]["attempt_count"]) == ("ERROR", 2)


def test_stop_after_a_number_of_failures(project: Path) -> None:
    for number in range(4):
        write(
            project,
            f"experiments/r{number}.yaml",
            f"n: {number}\ntasks: [{{id: t, command: exit 1}}]\n",
        )
    gitorch(project, "ready")
    gitorch(project, "run", "--stop-after", "2", code=1)
    statuses = sorted(
        run["status"] for run in gitorch_json(project, "list")["runs"]
    )
    assert statuses == ["ERROR", "ERROR", "WAITING", "WAITING"]


def test_a_watching_worker_waits_for_more(project: Path) -> None:
    worker = started(project, "run", "--watch")
    wait_for(lambda: gitorch_json(project, "status")["workers"])
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: echo late}]\n")
    gitorch(project, "ready")
    wait_for(
        lambda: (
            [run["status"] for run in gitorch_json(project, "list")["runs"]]
            == ["COMPLETE"]
        )
    )
    assert worker.poll() is None
    worker.terminate()
    worker.communicate(timeout=20)
    assert worker.returncode == 130


def test_two_workers_together_run_no_more_tasks_than_fit(
    project: Path, tmp_path: Path
) -> None:
    """Two workers have two slots each, and the machine has resources for two such tasks."""
    git(project, "config", "gitorch.cpus", "2")
    command = f"echo + >> {tmp_path}/log; sleep 0.15; echo - >> {tmp_path}/log"
    for number in range(6):
        task = (
            f"{{id: t, command: '{command}', gitorch: {{resources: {{cpus: 1}}}}}}"
        )
        write(
            project,
            f"experiments/r{number}.yaml",
            f"n: {number}\ntasks: [{task}]\n",
        )
    gitorch(project, "ready")
    for worker in [started(project, "run", "-j", "2") for _ in range(2)]:
        _, stderr = worker.communicate(timeout=60)
        assert worker.returncode == 0, stderr
    running, most = 0, 0
    for sign in (tmp_path / "log").read_text().split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert (running, most) == (0, 2)


def test_each_task_gets_its_own_gpu_index(project: Path) -> None:
    git(project, "config", "gitorch.gpus", "2")
    for number in range(2):
        config = f"""
            n: {number}
            tasks:
              - id: t
                command: echo $CUDA_VISIBLE_DEVICES; sleep 0.5
                gitorch: {{resources: {{gpus: 1}}}}
            """
        write(project, f"experiments/r{number}.yaml", config)
    gitorch(project, "run", "experiments", "-j", "2")
    logs = [
        gitorch(project, "logs", reference).stdout for reference in ("@", "@~1")
    ]
    assert sorted(logs) == ["0\n", "1\n"]


def test_a_task_that_can_never_fit_is_refused(project: Path) -> None:
    git(project, "config", "gitorch.gpus", "1")
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'true', gitorch: {resources: {gpus: 2}}}]\n",
    )
    stderr = gitorch(project, "ready", code=1).stderr
    assert "wants 2 gpus, and this machine has 1" in stderr
    assert gitorch_json(project, "list")["runs"] == []


def test_a_task_that_kills_its_slot_fails_after_three_attempts(
    project: Path,
) -> None:
    """The task kills its slot, the process that supervises the task. The attempt is then lost."""
    write(
        project,
        "experiments/bad.yaml",
        "tasks: [{id: t, command: 'kill -9 $PPID; sleep 5'}]\n",
    )
    write(
        project, "experiments/good.yaml", "tasks: [{id: t, command: echo good}]\n"
    )
    gitorch(project, "run", "experiments", code=1)
    runs = {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }
    assert runs == {"bad": "ERROR", "good": "COMPLETE"}
    attempts = gitorch_json(project, "show", "bad")["run"]["tasks"][0]["attempts"]
    assert [attempt["outcome"]["kind"] for attempt in attempts] == ["lost"] * 3
    assert "3 times" in attempts[-1]["outcome"]["message"]


def test_status_and_show_say_why_a_run_waits(project: Path, tmp_path: Path) -> None:
    """A run waits because it is held, in backoff, or in need of a resource that is in use."""
    git(project, "config", "gitorch.gpus", "1")
    busy = f"touch {tmp_path}/begun; while test ! -f {tmp_path}/go; do sleep 0.05; done"
    configs = {
        "busy": f"{{command: '{busy}', gitorch: {{resources: {{gpus: 1}}, priority: 9}}}}",
        "again": "{command: exit 1, gitorch: {retries: {max: 1, backoff: 10m}, priority: 8}}",
        "wanting": "{command: 'true', gitorch: {resources: {gpus: 1}}}",
        "held": "{command: echo held}",
    }
    for name, task in configs.items():
        with_id = task.replace("{", "{id: t, ", 1)
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{with_id}]\n",
        )
    gitorch(project, "ready")
    gitorch(project, "hold", "held", "--why", "first a look at busy")
    worker = started(project, "run", "-j", "2")
    wait_for((tmp_path / "begun").exists)
    wait_for(lambda: "tried again at" in (reasons(project)["again"] or ""))
    try:
        assert reasons(project)["busy"] is None
        assert reasons(project)["wanting"] == "t waits for 1 gpus, 0 are free"
        assert (
            reasons(project)["held"]
            == "held by A. Researcher: first a look at busy"
        )
        assert (
            gitorch_json(project, "show", "wanting")["why"]
            == reasons(project)["wanting"]
        )
    finally:
        gitorch(project, "kill", "again", "-y")
        (tmp_path / "go").touch()
        worker.communicate(timeout=30)


def reasons(root: Path) -> dict[str, str | None]:
    """Return why each run waits, by run name."""
    return {run["name"]: run["why"] for run in gitorch_json(root, "status")["runs"]}
