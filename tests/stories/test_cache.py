"""`cache`: a run reuses the results that another run has computed, and says so."""

from __future__ import annotations

import subprocess
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

PREPARE = "echo {{seed}} >> {counter}; seq {{seed}} > {{outputDir}}/data.txt; echo made > made.txt"
CONFIG = """
    seed: {seed}
    rate: {rate}
    tasks:
      - id: prepare
        command: "{prepare}"
        gitorch: {{cache: {{params: [seed], code: [Tasks.py]}}, outputs: [made.txt]}}
      - id: train
        command: "cat {{outputDir}}/data.txt made.txt > {{outputDir}}/model.txt; echo {{rate}}"
"""


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """Return the file to which `prepare` appends its seed each time it is executed."""
    counter = tmp_path / "counter"
    counter.touch()
    return counter


def config(
    project: Path,
    counter: Path,
    name: str,
    *,
    seed: int = 1,
    rate: float = 0.1,
    prepare: str = PREPARE,
) -> Path:
    text = CONFIG.format(
        seed=seed, rate=rate, prepare=prepare.format(counter=counter)
    )
    return write(project, f"experiments/{name}.yaml", text)


def executed(counter: Path) -> list[str]:
    """Return the seeds with which `prepare` was executed, in order."""
    return counter.read_text().split()


def shown(project: Path, run: str) -> Any:
    return gitorch_json(project, "show", run)["run"]


def code_of(process: subprocess.Popen[str]) -> int:
    """Wait until the process has ended. Return its exit code."""
    process.communicate(timeout=30)
    return process.returncode


def status_runs(project: Path) -> list[dict[str, Any]]:
    """Return the runs that `status` lists."""
    runs: list[dict[str, Any]] = gitorch_json(project, "status")["runs"]
    return runs


def count_waiting_for_the_same(project: Path) -> int:
    """Return how many runs wait for another run that computes the same results."""
    reasons = [run["why"] or "" for run in status_runs(project)]
    return sum("computes the same" in reason for reason in reasons)


def origin_of(project: Path, task: str) -> str:
    """Return what `show` says about the origin of the task's results in the newest run."""
    lines = gitorch(project, "show", "@").stdout.splitlines()
    line = next(line for line in lines if line.startswith(f"  {task}"))
    return line.split("  ")[-1]


def test_another_run_reuses_computed_results(project: Path, counter: Path) -> None:
    commit_files(project, {"Tasks.py": ""})
    config(project, counter, "first")
    gitorch(project, "run", "experiments/first.yaml")
    config(project, counter, "second", rate=0.2)
    stderr = gitorch(project, "run", "experiments/second.yaml").stderr
    first = shown(project, "first")
    second = shown(project, "second")
    assert executed(counter) == ["1"]
    assert (
        f"{second['id']}  second: prepare COMPLETE from run {first['id']}\n"
        in stderr
    )
    assert second["outputs"] == first["outputs"], "train read the reused outputs"
    prepare = second["tasks"][0]
    assert prepare["status"] == "COMPLETE"
    assert (prepare["attempt_count"], prepare["attempts"]) == (0, [])
    assert prepare["cache"]["from"] == {"run": first["id"], "task": "prepare"}
    assert prepare["cache"]["key"] == first["tasks"][0]["cache"]["key"]
    config(project, counter, "third", rate=0.3)
    gitorch(project, "run", "experiments/third.yaml")
    source = shown(project, "third")["tasks"][0]["cache"]["from"]
    assert source["run"] == first["id"], (
        "the source is always the run that computed the results"
    )
    assert gitorch(project, "doctor").returncode == 0


def test_only_named_code_and_parameters_are_part_of_the_key(
    project: Path, counter: Path
) -> None:
    commit_files(project, {"Tasks.py": "", "notes.txt": ""})
    config(project, counter, "a")
    gitorch(project, "run", "experiments/a.yaml")
    commit_files(project, {"README.md": "Something else.\n"})
    gitorch(project, "ready", "--again")
    gitorch(project, "run")
    assert executed(counter) == ["1"]
    commit_files(project, {"Tasks.py": "# changed\n"})
    gitorch(project, "run", "experiments/a.yaml")
    assert executed(counter) == ["1", "1"]
    config(project, counter, "a", seed=2)
    gitorch(project, "run", "experiments/a.yaml")
    assert executed(counter) == ["1", "1", "2"]


def test_two_workers_compute_the_same_results_once(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    prepare = f"{PREPARE}; until test -e {tmp_path}/go; do sleep 0.05; done"
    for number in range(4):
        config(project, counter, f"c{number}", rate=number, prepare=prepare)
    gitorch(project, "ready")
    workers = [started(project, "run", "-j", "2") for _ in range(2)]
    wait_for(
        lambda: (
            len(gitorch_json(project, "status")["workers"]) == 2
            and executed(counter)
        )
    )
    wait_for(lambda: count_waiting_for_the_same(project) == 3)
    computing = next(
        run["id"] for run in status_runs(project) if run["status"] == "RUNNING"
    )
    reasons = {run["why"] for run in status_runs(project)}
    assert reasons == {
        None,
        f"prepare waits for run {computing}, which computes the same",
    }
    (tmp_path / "go").touch()
    assert [code_of(worker) for worker in workers] == [0, 0]
    assert executed(counter) == ["1"]
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "COMPLETE"
    }


@pytest.mark.parametrize("end", ["is killed", "loses its worker"])
def test_another_run_computes_the_results_if_the_first_does_not_finish(
    project: Path, counter: Path, tmp_path: Path, end: str
) -> None:
    commit_files(project, {"Tasks.py": ""})
    # The first execution waits for `go` and fails. The others succeed at once.
    is_first = f"mkdir {tmp_path}/first 2> /dev/null"
    wait = f"until test -e {tmp_path}/go; do sleep 0.05; done"
    prepare = f"{PREPARE}; {is_first} || exit 0; {wait}; exit 1"
    for number in range(3):
        config(project, counter, f"c{number}", rate=number, prepare=prepare)
    gitorch(project, "ready")
    computing = started(project, "run", "c0")
    wait_for(lambda: executed(counter))
    others = started(project, "run", "-j", "2", "c1", "c2")
    wait_for(lambda: count_waiting_for_the_same(project) == 2)
    match end:
        case "is killed":
            gitorch(project, "kill", "--yes", "c0")
        case "loses its worker":
            computing.kill()
    assert code_of(others) == 0
    code_of(computing)
    assert executed(counter) == ["1", "1"], "the first run and one of the others"
    statuses = {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }
    assert (statuses["c1"], statuses["c2"]) == ("COMPLETE", "COMPLETE")


def test_no_cache_and_rerun_compute_again_and_their_results_can_be_reused(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    config(project, counter, "a")
    gitorch(project, "run", "--no-cache", "experiments/a.yaml")
    config(project, counter, "b", rate=2)
    gitorch(project, "run", "--no-cache", "experiments/b.yaml")
    assert executed(counter) == ["1", "1"]
    gitorch(project, "rerun", "b", "--verify")
    assert executed(counter) == ["1", "1", "1"]
    gitorch(project, "rerun", "b", "--queue")
    gitorch(project, "run")
    assert executed(counter) == ["1", "1", "1", "1"]
    config(project, counter, "c", rate=3)
    gitorch(project, "run", "experiments/c.yaml")
    assert executed(counter) == ["1", "1", "1", "1"]


def test_show_names_the_source_of_results_or_why_they_were_computed(
    project: Path, counter: Path
) -> None:
    def origin() -> str:
        return origin_of(project, "prepare")

    def compared_with(run: str) -> str:
        return f" (compared with run {shown(project, run)['id']})"

    commit_files(project, {"Tasks.py": "", "lib/a.py": ""})
    config(project, counter, "a")
    gitorch(project, "run", "experiments/a.yaml")
    assert origin() == "computed: first of its kind"
    first = shown(project, "@")["id"]
    config(project, counter, "b", rate=2)
    gitorch(project, "run", "experiments/b.yaml")
    assert origin() == f"from run {first} (prepare)"
    config(project, counter, "a", seed=2)
    gitorch(project, "run", "experiments/a.yaml")
    assert origin() == f"computed: params: seed 1 -> 2 (compared with run {first})"
    commit_files(project, {"Tasks.py": "# changed\n", "lib/a.py": "changed"})
    gitorch(project, "run", "experiments/a.yaml")
    assert origin() == "computed: code: Tasks.py differs" + compared_with("@~1")
    gitorch(project, "rerun", "@")
    assert origin() == "computed: a rerun reuses nothing"
    config(project, counter, "a", prepare=f"{PREPARE}; true")
    gitorch(project, "run", "experiments/a.yaml")
    expected = "computed: task: command differs; code: Tasks.py differs"
    expected += f" (compared with run {first})"
    assert origin() == expected, "compared with the last run of the same seed"
    gitorch(project, "ready", "--again", "experiments/a.yaml")
    gitorch(project, "run", "--no-cache")
    assert (
        origin()
        == f"computed, though run {shown(project, '@~1')['id']} has the same"
    )


def test_inputs_and_earlier_outputs_are_part_of_the_key(
    project: Path, counter: Path
) -> None:
    def run(rate: int) -> str:
        write(
            project,
            "experiments/a.yaml",
            f"""
            rate: {rate}
            tasks:
              - {{id: make, command: "echo {{rate}} > {{outputDir}}/made"}}
              - id: use
                command: "echo used >> {counter}; cat {{outputDir}}/made data.csv"
                inputs: [data.csv]
                gitorch: {{cache: {{params: [], code: [Tasks.py]}}, inputs: [data.csv, "more/*"]}}
            """,
        )
        gitorch(project, "ready", "--again")
        gitorch(project, "run")
        return origin_of(project, "use").split(" (compared")[0]

    commit_files(project, {"Tasks.py": "", "data.csv": "1\n", "more/1.csv": "1\n"})
    assert run(1) == "computed: first of its kind"
    assert run(1).startswith("from run ")
    assert run(2) == "computed: before: outputs of make differ"
    commit_files(project, {"data.csv": "2\n"})
    assert run(2) == "computed: inputs: data.csv differs"
    commit_files(project, {"more/2.csv": "2\n"})
    assert run(2) == "computed: inputs: more/2.csv differs"
    assert len(executed(counter)) == 4


def test_a_task_with_reused_results_shows_the_log_of_the_run_that_computed_them(
    project: Path, counter: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    for number, name in enumerate("ab"):
        config(
            project, counter, name, rate=number, prepare=f"{PREPARE}; echo said so"
        )
        gitorch(project, "run", f"experiments/{name}.yaml")
    logs = gitorch(project, "logs", "b")
    assert logs.stdout == "said so\n1\n"
    assert (
        f"==> prepare, attempt 1 of run {shown(project, 'a')['id']} <=="
        in logs.stderr
    )
    assert (
        gitorch(project, "logs", "b", "--task", "prepare", "-f").stdout
        == "said so\n"
    )
    compared = gitorch(project, "compare", "a", "b", "--logs").stdout
    assert "task prepare: the same log" in compared
    assert "task train: the logs differ" in compared
    assert gitorch_json(project, "compare", "a", "b")["outputs"]["same"]


def test_a_plain_clone_reuses_results(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    config(project, counter, "a")
    commit_files(project, {})
    gitorch(project, "run", "experiments/a.yaml")
    git(tmp_path, "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    config(clone, counter, "b", rate=2)
    stderr = gitorch(clone, "run", "experiments/b.yaml").stderr
    assert f"prepare COMPLETE from run {shown(project, 'a')['id']}" in stderr
    assert executed(counter) == ["1"]
    assert shown(clone, "b")["outputs"] == shown(project, "a")["outputs"]


def test_large_files_are_reused_while_they_are_intact(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    git(project, "config", "gitorch.largeFile", "100")
    large = f"{PREPARE}; seq {{{{seed}}}} 200 > {{{{outputDir}}}}/large"
    for number, name in enumerate("ab"):
        config(project, counter, name, rate=number, prepare=large)
        gitorch(project, "run", f"experiments/{name}.yaml")
    assert executed(counter) == ["1"]
    [output] = [
        output
        for output in shown(project, "b")["outputs"]
        if output["stored"] == "lfs"
    ]
    assert (output["path"], output["task"]) == ("large", "prepare")
    checkout = Path(gitorch(project, "checkout-run", "b").stdout.strip())
    run = shown(project, "b")["id"]
    assert (checkout / f"run-{run}/outputs/large").read_text().startswith("1\n2\n")

    objects = [
        path
        for path in (project / ".git").rglob(output["sha256"])
        if path.is_file()
    ]
    objects[0].chmod(0o644)
    objects[0].write_bytes(b"x" * output["size"])
    assert len(objects) == 2, "two names of one file"
    config(project, counter, "c", rate=3, prepare=large)
    gitorch(project, "run", "experiments/c.yaml")
    assert executed(counter) == ["1", "1"], "the object is damaged: executed again"

    for path in (project / ".git").rglob(output["sha256"]):
        path.unlink()
    config(project, counter, "d", rate=4, prepare=large)
    gitorch(project, "run", "experiments/d.yaml")
    assert executed(counter) == ["1", "1", "1"], (
        "the object is missing: executed again"
    )
    config(project, counter, "e", rate=5, prepare=large)
    gitorch(project, "run", "experiments/e.yaml")
    assert executed(counter) == ["1", "1", "1"], "the object exists again: reused"


def test_results_that_a_later_task_changed_are_not_reused(
    project: Path, counter: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})

    def run(name: str, after: str) -> None:
        write(
            project,
            f"experiments/{name}.yaml",
            f"""
            tasks:
              - id: make
                command: >-
                  echo made >> {counter};
                  echo 1 > {{outputDir}}/a;
                  echo 2 > {{outputDir}}/b
                gitorch: {{cache: true}}
              - {{id: after, command: "{after}"}}
            """,
        )
        gitorch(project, "run", f"experiments/{name}.yaml")

    run("a", "echo 3 > {outputDir}/b")
    run("b", "grep 2 {outputDir}/b")
    assert len(executed(counter)) == 2
    run("c", "grep 2 {outputDir}/b")
    assert len(executed(counter)) == 2


def test_a_retry_reuses_results_and_drops_outputs_of_the_failed_attempt(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    fail = "mkdir {{outputDir}}/data.part; echo > {{outputDir}}/left; exit 1"
    fails = f"{PREPARE}; if ! test -e {tmp_path}/repaired; then {fail}; fi"
    config(project, counter, "a", prepare=fails)
    gitorch(project, "run", "experiments/a.yaml", code=1)
    outputs = [output["path"] for output in shown(project, "a")["outputs"]]
    assert outputs == ["data.txt", "left", "worktree/made.txt"]
    (tmp_path / "repaired").touch()
    config(project, counter, "b", rate=2, prepare=fails)
    gitorch(project, "run", "experiments/b.yaml")
    gitorch(project, "retry", "a")
    assert "prepare COMPLETE from run" in gitorch(project, "run").stderr
    outputs = [output["path"] for output in shown(project, "a")["outputs"]]
    assert outputs == ["data.txt", "model.txt", "worktree/made.txt"]
    assert shown(project, "a")["tasks"][0]["attempt_count"] == 1


def test_tasks_that_run_at_the_same_time_are_not_reused(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    """Both tasks write into one directory, so a file cannot be attributed to one of them."""
    commit_files(project, {"Tasks.py": ""})

    def meet(own: str, other: str) -> str:
        """Return a command that ends when both tasks have begun."""
        touch = f"touch {tmp_path}/{own}"
        return f"until test -e {tmp_path}/{other}; do {touch}; sleep 0.02; done; {touch}"

    write(
        project,
        "experiments/a.yaml",
        f"""
        gitorch: {{cache: true}}
        tasks:
          - {{id: left, command: "{meet("l", "r")}; echo 1 > {{outputDir}}/left", needs: []}}
          - {{id: right, command: "{meet("r", "l")}; echo 1 > {{outputDir}}/right", needs: []}}
        """,
    )
    gitorch(project, "run", "-j", "2", "experiments/a.yaml")
    assert [task.get("cache") for task in shown(project, "a")["tasks"]] == [
        None,
        None,
    ]
    assert "not reusable" in gitorch(project, "show", "a").stdout
