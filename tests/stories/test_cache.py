"""`cache`: what one run has computed, another is given, and says so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write

PREPARE = "echo {{seed}} >> {counter}; seq {{seed}} > {{outputDir}}/data.txt; echo made > made.txt"
CONFIG = """
    seed: {seed}
    rate: {rate}
    tasks:
      - id: prepare
        command: "{prepare}"
        gitorch: {{cache: {{params: [seed], code: [Tasks.py]}}, outputs: [made.txt]}}
      - {{id: train, command: "cat {{outputDir}}/data.txt made.txt > {{outputDir}}/model.txt; echo {{rate}}"}}
"""


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """What `prepare` notes its seed in, each time it runs."""
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
    text = CONFIG.format(seed=seed, rate=rate, prepare=prepare.format(counter=counter))
    return write(project, f"experiments/{name}.yaml", text)


def ran(counter: Path) -> list[str]:
    return counter.read_text().split()


def shown(project: Path, run: str) -> Any:
    return gitorch_json(project, "show", run)["run"]


def code_of(process: subprocess.Popen[str]) -> int:
    """Its exit code, once it has ended."""
    process.communicate(timeout=30)
    return process.returncode


def test_another_run_is_given_what_one_has_computed(project: Path, counter: Path) -> None:
    commit_files(project, {"Tasks.py": ""})
    config(project, counter, "first")
    gitorch(project, "run", "experiments/first.yaml")
    config(project, counter, "second", rate=0.2)
    said = gitorch(project, "run", "experiments/second.yaml").stderr
    first, second = shown(project, "first"), shown(project, "second")
    assert ran(counter) == ["1"]
    assert f"{second['id']}  second: prepare COMPLETE from run {first['id']}\n" in said
    assert second["outputs"] == first["outputs"], "also what train made of them"
    prepare = second["tasks"][0]
    assert (prepare["status"], prepare["attempt_count"], prepare["attempts"]) == ("COMPLETE", 0, [])
    assert prepare["cache"]["from"] == {"run": first["id"], "task": "prepare"}
    assert prepare["cache"]["key"] == first["tasks"][0]["cache"]["key"]
    config(project, counter, "third", rate=0.3)
    gitorch(project, "run", "experiments/third.yaml")
    source = shown(project, "third")["tasks"][0]["cache"]["from"]
    assert source["run"] == first["id"], "the run that computed it, not the one that was given it"
    assert gitorch(project, "doctor").returncode == 0


def test_what_is_not_named_does_not_matter_and_what_is_does(project: Path, counter: Path) -> None:
    commit_files(project, {"Tasks.py": "", "notes.txt": ""})
    config(project, counter, "a")
    gitorch(project, "run", "experiments/a.yaml")
    commit_files(project, {"README.md": "Something else.\n"})
    gitorch(project, "ready", "--again")
    gitorch(project, "run")
    assert ran(counter) == ["1"]
    commit_files(project, {"Tasks.py": "# changed\n"})
    gitorch(project, "run", "experiments/a.yaml")
    assert ran(counter) == ["1", "1"]
    config(project, counter, "a", seed=2)
    gitorch(project, "run", "experiments/a.yaml")
    assert ran(counter) == ["1", "1", "2"]


def test_two_workers_compute_it_once(project: Path, counter: Path, tmp_path: Path) -> None:
    commit_files(project, {"Tasks.py": ""})
    prepare = f"{PREPARE}; until test -e {tmp_path}/go; do sleep 0.05; done"
    for number in range(4):
        config(project, counter, f"c{number}", rate=number, prepare=prepare)
    gitorch(project, "ready")
    workers = [started(project, "run", "-j", "2") for _ in range(2)]
    wait_for(lambda: len(gitorch_json(project, "status")["workers"]) == 2 and ran(counter))
    wait_for(
        lambda: (
            sum(
                "computes the same" in (run["why"] or "")
                for run in gitorch_json(project, "status")["runs"]
            )
            == 3
        )
    )
    computing = next(
        run["id"] for run in gitorch_json(project, "status")["runs"] if run["status"] == "RUNNING"
    )
    whys = {run["why"] for run in gitorch_json(project, "status")["runs"]}
    assert whys == {None, f"prepare waits for run {computing}, which computes the same"}
    (tmp_path / "go").touch()
    assert [code_of(worker) for worker in workers] == [0, 0]
    assert ran(counter) == ["1"]
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {"COMPLETE"}


@pytest.mark.parametrize("how", ["fails", "is killed", "loses its worker"])
def test_when_the_one_that_computes_it_does_not_get_there_another_does(
    project: Path, counter: Path, tmp_path: Path, how: str
) -> None:
    commit_files(project, {"Tasks.py": ""})
    first = f"mkdir {tmp_path}/first 2> /dev/null || exit 0; until test -e {tmp_path}/go; do sleep 0.05; done; exit 1"
    for number in range(3):
        config(project, counter, f"c{number}", rate=number, prepare=f"{PREPARE}; {first}")
    gitorch(project, "ready")
    computing = started(project, "run", "c0")
    wait_for(lambda: ran(counter))
    others = started(project, "run", "-j", "2", "c1", "c2")
    wait_for(
        lambda: (
            sum(
                "computes the same" in (run["why"] or "")
                for run in gitorch_json(project, "status")["runs"]
            )
            == 2
        )
    )
    match how:
        case "fails":
            (tmp_path / "go").touch()
        case "is killed":
            gitorch(project, "kill", "c0")
        case "loses its worker":
            computing.kill()
    assert code_of(others) == 0
    code_of(computing)
    assert ran(counter) == ["1", "1"], "the first, and one of the others"
    statuses = {run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]}
    assert (statuses["c1"], statuses["c2"]) == ("COMPLETE", "COMPLETE")


def test_no_cache_and_rerun_compute_anew_and_others_may_use_what_they_did(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    config(project, counter, "a")
    gitorch(project, "run", "--no-cache", "experiments/a.yaml")
    config(project, counter, "b", rate=2)
    gitorch(project, "run", "--no-cache", "experiments/b.yaml")
    assert ran(counter) == ["1", "1"]
    gitorch(project, "rerun", "b", "--verify")
    assert ran(counter) == ["1", "1", "1"]
    gitorch(project, "rerun", "b", "--queue")
    gitorch(project, "run")
    assert ran(counter) == ["1", "1", "1", "1"]
    config(project, counter, "c", rate=3)
    gitorch(project, "run", "experiments/c.yaml")
    assert ran(counter) == ["1", "1", "1", "1"]


def test_show_says_where_results_come_from_or_why_they_were_computed(
    project: Path, counter: Path
) -> None:
    def origin() -> str:
        lines = gitorch(project, "show", "@").stdout.splitlines()
        return next(line for line in lines if line.startswith("  prepare")).split("  ")[-1]

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
    told = f"computed: task: command differs; code: Tasks.py differs (compared with run {first})"
    assert origin() == told, "the last run with its seed, not the last of all"
    gitorch(project, "ready", "--again", "experiments/a.yaml")
    gitorch(project, "run", "--no-cache")
    assert origin() == f"computed, though run {shown(project, '@~1')['id']} has the same"


def test_what_a_task_reads_and_what_was_done_before_it_count(project: Path, counter: Path) -> None:
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
        lines = gitorch(project, "show", "@").stdout.splitlines()
        return (
            next(line for line in lines if line.startswith("  use"))
            .split("  ")[-1]
            .split(" (compared")[0]
        )

    commit_files(project, {"Tasks.py": "", "data.csv": "1\n", "more/1.csv": "1\n"})
    assert run(1) == "computed: first of its kind"
    assert run(1).startswith("from run ")
    assert run(2) == "computed: before: outputs of make differ"
    commit_files(project, {"data.csv": "2\n"})
    assert run(2) == "computed: inputs: data.csv differs"
    commit_files(project, {"more/2.csv": "2\n"})
    assert run(2) == "computed: inputs: more/2.csv differs"
    assert len(ran(counter)) == 4


def test_the_log_of_a_task_that_was_given_results_is_that_of_the_run_that_computed_them(
    project: Path, counter: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    for number, name in enumerate("ab"):
        config(project, counter, name, rate=number, prepare=f"{PREPARE}; echo said so")
        gitorch(project, "run", f"experiments/{name}.yaml")
    said = gitorch(project, "logs", "b")
    assert said.stdout == "said so\n1\n"
    assert f"==> prepare, attempt 1 of run {shown(project, 'a')['id']} <==" in said.stderr
    assert gitorch(project, "logs", "b", "--task", "prepare", "-f").stdout == "said so\n"
    compared = gitorch(project, "compare", "a", "b", "--logs").stdout
    assert "task prepare: the same log" in compared
    assert "task train: the logs differ" in compared
    assert gitorch_json(project, "compare", "a", "b")["outputs"]["same"]


def test_a_plain_clone_reuses_what_was_pushed(project: Path, counter: Path, tmp_path: Path) -> None:
    commit_files(project, {"Tasks.py": ""})
    config(project, counter, "a")
    commit_files(project, {})
    gitorch(project, "run", "experiments/a.yaml")
    git(tmp_path, "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    config(clone, counter, "b", rate=2)
    said = gitorch(clone, "run", "experiments/b.yaml").stderr
    assert f"prepare COMPLETE from run {shown(project, 'a')['id']}" in said
    assert ran(counter) == ["1"]
    assert shown(clone, "b")["outputs"] == shown(project, "a")["outputs"]


def test_large_files_are_given_on_while_they_are_there(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    git(project, "config", "gitorch.largeFile", "100")
    large = f"{PREPARE}; seq {{{{seed}}}} 200 > {{{{outputDir}}}}/large"
    for number, name in enumerate("ab"):
        config(project, counter, name, rate=number, prepare=large)
        gitorch(project, "run", f"experiments/{name}.yaml")
    assert ran(counter) == ["1"]
    [output] = [output for output in shown(project, "b")["outputs"] if output["stored"] == "lfs"]
    assert (output["path"], output["task"]) == ("large", "prepare")
    checkout = Path(gitorch(project, "checkout-run", "b").stdout.strip())
    run = shown(project, "b")["id"]
    assert (checkout / f"run-{run}/outputs/large").read_text().startswith("1\n2\n")

    objects = [path for path in (project / ".git").rglob(output["sha256"]) if path.is_file()]
    objects[0].chmod(0o644)
    objects[0].write_bytes(b"x" * output["size"])
    assert len(objects) == 2, "the same file by two names"
    config(project, counter, "c", rate=3, prepare=large)
    gitorch(project, "run", "experiments/c.yaml")
    assert ran(counter) == ["1", "1"], "the object is damaged: computed anew"

    for path in (project / ".git").rglob(output["sha256"]):
        path.unlink()
    config(project, counter, "d", rate=4, prepare=large)
    gitorch(project, "run", "experiments/d.yaml")
    assert ran(counter) == ["1", "1", "1"], "it is gone: computed anew"
    config(project, counter, "e", rate=5, prepare=large)
    gitorch(project, "run", "experiments/e.yaml")
    assert ran(counter) == ["1", "1", "1"], "it is there again"


def test_results_that_a_later_task_has_changed_are_not_given_on(
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
                command: "echo made >> {counter}; echo 1 > {{outputDir}}/a; echo 2 > {{outputDir}}/b"
                gitorch: {{cache: true}}
              - {{id: after, command: "{after}"}}
            """,
        )
        gitorch(project, "run", f"experiments/{name}.yaml")

    run("a", "echo 3 > {outputDir}/b")
    run("b", "grep 2 {outputDir}/b")
    assert len(ran(counter)) == 2
    run("c", "grep 2 {outputDir}/b")
    assert len(ran(counter)) == 2


def test_a_retry_is_given_results_and_what_the_failed_attempt_left_is_gone(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    commit_files(project, {"Tasks.py": ""})
    leave = "mkdir {{outputDir}}/data.part; echo > {{outputDir}}/left; exit 1"
    fails = f"{PREPARE}; if ! test -e {tmp_path}/mended; then {leave}; fi"
    config(project, counter, "a", prepare=fails)
    gitorch(project, "run", "experiments/a.yaml", code=1)
    assert [output["path"] for output in shown(project, "a")["outputs"]] == [
        "data.txt",
        "left",
        "worktree/made.txt",
    ]
    (tmp_path / "mended").touch()
    config(project, counter, "b", rate=2, prepare=fails)
    gitorch(project, "run", "experiments/b.yaml")
    gitorch(project, "retry", "a")
    assert "prepare COMPLETE from run" in gitorch(project, "run").stderr
    outputs = [output["path"] for output in shown(project, "a")["outputs"]]
    assert outputs == ["data.txt", "model.txt", "worktree/made.txt"]
    assert shown(project, "a")["tasks"][0]["attempt_count"] == 1


def test_tasks_that_run_beside_each_other_are_not_reused(
    project: Path, counter: Path, tmp_path: Path
) -> None:
    """Both write into one directory: whose a file is cannot be told."""
    commit_files(project, {"Tasks.py": ""})
    meet = "until test -e {tmp}/{other}; do touch {tmp}/{own}; sleep 0.02; done; touch {tmp}/{own}"
    left, right = (
        meet.format(tmp=tmp_path, own=own, other=other) for own, other in (("l", "r"), ("r", "l"))
    )
    write(
        project,
        "experiments/a.yaml",
        f"""
        gitorch: {{cache: true}}
        tasks:
          - {{id: left, command: "{left}; echo 1 > {{outputDir}}/left", needs: []}}
          - {{id: right, command: "{right}; echo 1 > {{outputDir}}/right", needs: []}}
        """,
    )
    gitorch(project, "run", "-j", "2", "experiments/a.yaml")
    assert [task.get("cache") for task in shown(project, "a")["tasks"]] == [None, None]
    assert "not reusable" in gitorch(project, "show", "a").stdout
