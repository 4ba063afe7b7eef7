"""The life of a run whose tasks succeed, fail, crash, are interrupted, or leave files behind."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

COUNTING = """
import os, pathlib

class Step:
    def __init__(self, config):
        self.config = config
    def run(self):
        counter = pathlib.Path(self.config["counters"], self.config["id"])
        count = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(count + 1))
        print("count", self.config["id"], counter.read_text())
        if self.config.get("input"):
            print(pathlib.Path(self.config["input"]).read_text())
        return {"value": len(self.config["id"])}
"""


def statuses_of(project: Path) -> dict[str, str]:
    """Return the status of each run by its name."""
    return {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }


def test_a_retry_repeats_the_failed_task_but_not_the_finished_ones(
    project: Path, tmp_path: Path
) -> None:
    counters = tmp_path / "counters"
    counters.mkdir()
    commit_files(project, {"Tasks.py": COUNTING})
    write(
        project,
        "experiments/four.yaml",
        f"""
        counters: {counters}
        tasks:
          - {{id: a, method: Step}}
          - {{id: b, method: Step}}
          - {{id: c, method: Step, input: {tmp_path}/missing.txt}}
          - {{id: d, method: Step}}
        """,
    )
    write(
        project, "experiments/other.yaml", "tasks: [{id: t, command: echo fine}]\n"
    )
    gitorch(project, "ready")
    failed = gitorch(project, "run", code=1)
    assert "FileNotFoundError" in failed.stderr
    assert "Tasks.py:13" in failed.stderr
    assert "gitorch retry" in failed.stderr
    runs = {run["name"]: run for run in gitorch_json(project, "list")["runs"]}
    assert runs["four"]["status"] == "ERROR"
    assert runs["other"]["status"] == "COMPLETE"
    shown = gitorch_json(project, "show", "four")["run"]
    task_statuses = [task["status"] for task in shown["tasks"]]
    assert task_statuses == ["COMPLETE", "COMPLETE", "ERROR", "WAITING"]

    gitorch(project, "run")  # An empty queue is not a failure.
    (tmp_path / "missing.txt").write_text("here now\n")
    changed = gitorch_json(project, "retry", "four")["changed"]
    assert changed == [{"id": runs["four"]["id"], "from": "ERROR", "to": "WAITING"}]
    gitorch(project, "run")
    executions = {path.name: path.read_text() for path in counters.iterdir()}
    assert executions == {"a": "1", "b": "1", "c": "2", "d": "1"}
    shown = gitorch_json(project, "show", "four")["run"]
    assert shown["status"] == "COMPLETE"
    third = shown["tasks"][2]
    outcomes = [attempt["outcome"]["kind"] for attempt in third["attempts"]]
    assert outcomes == ["exit-code", "succeeded"]
    first_log = gitorch(
        project, "logs", "four", "--task", "c", "--attempt", "1"
    ).stdout
    assert "FileNotFoundError" in first_log
    assert (
        gitorch(project, "logs", "four", "--task", "c").stdout
        == "count c 2\nhere now\n\n"
    )
    refused = gitorch(project, "retry", "four", code=4)
    assert "COMPLETE" in refused.stderr


def test_tasks_that_need_a_failed_task_wait_and_independent_tasks_continue(
    project: Path,
) -> None:
    write(
        project,
        "experiments/dag.yaml",
        """
        tasks:
          - {id: bad, command: exit 3}
          - {id: after, command: echo never}
          - {id: free, command: echo free, needs: []}
          - {id: afterFree, command: echo too, needs: [free]}
        """,
    )
    gitorch(project, "run", "experiments", "-j", "3", code=1)
    shown = gitorch_json(project, "show", "@")["run"]
    task_statuses = {task["id"]: task["status"] for task in shown["tasks"]}
    assert task_statuses == {
        "bad": "ERROR",
        "after": "WAITING",
        "free": "COMPLETE",
        "afterFree": "COMPLETE",
    }
    assert shown["tasks"][0]["attempts"][0]["outcome"] == {
        "kind": "exit-code",
        "exit_code": 3,
    }


def test_a_bad_run_does_not_affect_other_runs(project: Path) -> None:
    commands = {
        "exits": "exit 1",
        "crashes": "kill -SEGV $$",
        "missing": "no-such-program",
        "fills": "head -c 3M /dev/zero",
        "removes": "cd .. && rm -rf tree && echo so > {outputDir}/much && exit 1",
        "unlinks": "rm .git && echo spoilt > README.md && exit 1",
        "good1": "echo good1",
        "good2": "echo good2",
    }
    for name, command in commands.items():
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: '{command}'}}]\n",
        )
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    statuses = statuses_of(project)
    complete = {name for name, status in statuses.items() if status == "COMPLETE"}
    assert complete == {"good1", "good2", "fills"}
    outcome = gitorch_json(project, "show", "crashes")["run"]["tasks"][0][
        "attempts"
    ][0]["outcome"]
    assert outcome["kind"] in ("signal", "exit-code")
    for name in ("removes", "unlinks"):
        attempt = gitorch_json(project, "show", name)["run"]["tasks"][0][
            "attempts"
        ][0]
        assert (
            "what was changed in the worktree is not known" in attempt["notes"][0]
        )
    outputs = gitorch_json(project, "show", "removes")["run"]["outputs"]
    assert [output["path"] for output in outputs] == ["much"]


def test_the_next_attempt_finds_the_checkpoint_of_a_failed_one(
    project: Path,
) -> None:
    write(
        project,
        "experiments/a.yaml",
        """
        tasks:
          - id: t
            command: >-
              test -f {outputDir}/checkpoint && echo resumed
              || (echo 7 > {outputDir}/checkpoint; exit 1)
        """,
    )
    gitorch(project, "run", "experiments", code=1)
    shown = gitorch_json(project, "show", "@")["run"]
    paths = [output["path"] for output in shown["outputs"]]
    assert paths == ["checkpoint"], "outputs of a failed attempt are committed"
    gitorch(project, "retry", "@")
    gitorch(project, "run")
    assert gitorch(project, "logs", "@").stdout == "resumed\n"


def test_changes_to_tracked_files_are_recorded_and_undone(project: Path) -> None:
    commit_files(project, {"settings.txt": "as pinned\n"})
    write(
        project,
        "experiments/a.yaml",
        """
        tasks:
          - {id: spoil, command: echo spoilt > settings.txt}
          - {id: read, command: cat settings.txt}
        """,
    )
    gitorch(project, "run", "experiments")
    shown = gitorch_json(project, "show", "@")["run"]
    assert shown["tasks"][0]["attempts"][0]["modified"] == ["settings.txt"]
    base = f"gitorch/results:runs/{shown['id'][:2]}/{shown['id']}/tasks/spoil/1"
    assert "+spoilt" in git(project, "show", f"{base}/changes.diff")
    assert gitorch(project, "logs", "@", "--task", "read").stdout == "as pinned\n"


def test_metrics_come_from_results_events_and_files(project: Path) -> None:
    tasks = """
    from gitorch import TaskBase, metric, progress

    class Measure(TaskBase):
        def run(self):
            for epoch in range(3):
                metric("loss", 1 / (epoch + 1), step=epoch)
                progress(epoch + 1, 3)
            with open(self.config["outputDir"] + "/metrics.json", "w") as file:
                file.write('{"test": {"f1": 0.5}, "bad": NaN}')
            return {"accuracy": 0.9, "note": "text is not a metric"}
    """
    write(project, "Tasks.py", tasks)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "tasks")
    write(project, "experiments/a.yaml", "tasks: [{id: m, method: Measure}]\n")
    gitorch(project, "run", "experiments")
    shown = gitorch_json(project, "show", "@")["run"]
    assert shown["metrics"] == {
        "loss": 1 / 3,
        "test.f1": 0.5,
        "bad": None,
        "accuracy": 0.9,
    }
    assert shown["tasks"][0]["result"] == {
        "accuracy": 0.9,
        "note": "text is not a metric",
    }


def test_named_outputs_in_the_worktree_are_kept(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {outputs: ["figures/**/*.svg"]}
        tasks:
          - id: draw
            command: >-
              mkdir -p figures/a
              && echo '<svg/>' > figures/a/b.svg
              && echo no > figures/c.txt
        """,
    )
    gitorch(project, "run", "experiments")
    shown = gitorch_json(project, "show", "@")["run"]
    assert [output["path"] for output in shown["outputs"]] == [
        "worktree/figures/a/b.svg"
    ]


def test_a_large_output_is_stored_as_an_lfs_object_and_checked_out_again(
    project: Path,
) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'head -c 3000000 /dev/urandom > {outputDir}/model.bin'}]\n",
    )
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "@")["run"]
    [output] = run["outputs"]
    assert (output["stored"], output["size"]) == ("lfs", 3_000_000)
    pointer = git(
        project,
        "show",
        f"gitorch/results:runs/{run['id'][:2]}/{run['id']}/outputs/model.bin",
    )
    assert pointer.startswith("version https://git-lfs.github.com/spec/v1")
    git(project, "gc", "--prune=now", "-q")
    tree = Path(gitorch(project, "checkout-run", "@").stdout.strip())
    restored = (tree / f"run-{run['id']}/outputs/model.bin").read_bytes()
    assert hashlib.sha256(restored).hexdigest() == output["sha256"]


def test_ctrl_c_once_finishes_running_tasks_and_starts_no_more(
    project: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: 'touch {tmp_path}/{name}; sleep 0.4; echo ok'}}]\n",
        )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "one").exists)
    worker.send_signal(signal.SIGINT)
    _, stderr = worker.communicate(timeout=20)
    assert worker.returncode == 130, stderr
    assert "waiting for 1 running task; Ctrl-C once more" in stderr
    assert statuses_of(project) == {"one": "COMPLETE", "two": "WAITING"}


def test_ctrl_c_twice_stops_running_tasks_and_requeues_them(
    project: Path, tmp_path: Path
) -> None:
    write(
        project,
        "experiments/one.yaml",
        f"tasks: [{{id: t, command: 'touch {tmp_path}/begun; exec sleep 60'}}]\n",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGINT)
    time.sleep(0.1)
    worker.send_signal(signal.SIGINT)
    _, stderr = worker.communicate(timeout=20)
    assert worker.returncode == 130, stderr
    assert "1 run: 1 WAITING; stopped" in stderr
    [run] = gitorch_json(project, "list")["runs"]
    assert run["status"] == "WAITING"
    [attempt] = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert attempt["outcome"]["kind"] == "interrupted"


def test_status_shows_running_tasks_and_their_progress(
    project: Path, tmp_path: Path
) -> None:
    event = json.dumps({"progress": [3, 10]})
    write(
        project,
        "experiments/a.yaml",
        f"""
        tasks:
          - id: t
            command:
              - sh
              - -c
              - |
                echo '{event}' >> $GITORCH_EVENTS
                touch {tmp_path}/begun
                while test ! -f {tmp_path}/go; do sleep 0.05; done
        """,
    )
    write(project, "experiments/b.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    before = gitorch_json(project, "status")
    assert [run["why"] for run in before["runs"]] == [
        "no worker is running: gitorch run"
    ] * 2
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    during = gitorch_json(project, "status")
    (tmp_path / "go").touch()
    worker.communicate(timeout=20)
    first, second = during["runs"]
    assert (first["status"], first["task"]) == ("RUNNING", "t")
    assert first["progress"] == {"done": 3, "total": 10, "source": "events"}
    assert first["share"] == 0.3
    assert first["eta_s"]["p80"] >= first["eta_s"]["p50"] > 0
    assert second["why"] == f"behind 1 run, the first is {first['id']}"
    assert during["counts"] == {
        "WAITING": 1,
        "RUNNING": 1,
        "COMPLETE": 0,
        "ERROR": 0,
        "FAILED": 0,
        "HOLD": 0,
    }
    assert [worker["tasks"] for worker in during["workers"]] == [1]
    after = gitorch_json(project, "status")
    assert (after["runs"], after["workers"]) == ([], [])


def test_two_configs_with_the_same_content_become_one_run_and_ready_says_so(
    project: Path,
) -> None:
    for name in ("first", "second"):
        write(
            project,
            f"experiments/{name}.yaml",
            "tasks: [{id: t, command: 'true'}]\n",
        )
    made = gitorch_json(project, "ready")
    assert [run["name"] for run in made["queued"]] == ["first"]
    assert [(run["id"], run["name"], run["why"]) for run in made["skipped"]] == [
        (
            made["queued"][0]["id"],
            "second",
            "the same run as first, experiments/first.yaml",
        )
    ]
    again = gitorch_json(project, "ready", "--again")
    assert len(again["queued"]) == 2, "--again queues both of them"


def test_a_worker_under_nohup_survives_a_hangup(
    project: Path, tmp_path: Path
) -> None:
    command = f"touch {tmp_path}/begun; while test ! -f {tmp_path}/go; do sleep 0.05; done"
    write(
        project,
        "experiments/one.yaml",
        f"tasks: [{{id: t, command: '{command}'}}]\n",
    )
    gitorch(project, "ready")
    worker = subprocess.Popen(
        ["nohup", sys.executable, "-m", "gitorch", "run"],
        cwd=project,
        stderr=subprocess.DEVNULL,
    )
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    assert worker.wait(timeout=20) == 0
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == [
        "COMPLETE"
    ]


def test_a_worktree_output_wins_over_an_output_file_of_the_same_name(
    project: Path,
) -> None:
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {outputs: [x]}
        tasks:
          - id: t
            command: >-
              echo tree > x;
              mkdir {outputDir}/worktree;
              echo output > {outputDir}/worktree/x
        """,
    )
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "@")["run"]
    assert [output["path"] for output in run["outputs"]] == ["worktree/x"]
    assert run["tasks"][0]["attempts"][0]["notes"] == [
        "worktree/x of the output directory is not kept: x of the worktree has its name"
    ]
    left = project.parent / "project.gitorch" / run["id"] / "output/worktree/x"
    assert left.read_text() == "output\n", (
        "a file that is not kept is not removed either"
    )
