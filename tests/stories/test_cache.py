"""`cache`: what one run has computed, another is given, and says so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, gitorch, gitorch_json, started, wait_for, write

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
    project: Path, counter: Path, name: str, *, seed: int = 1, rate: float = 0.1, prepare: str = PREPARE
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
        lambda: sum("computes the same" in (run["why"] or "") for run in gitorch_json(project, "status")["runs"]) == 3
    )
    computing = next(run["id"] for run in gitorch_json(project, "status")["runs"] if run["status"] == "RUNNING")
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
        lambda: sum("computes the same" in (run["why"] or "") for run in gitorch_json(project, "status")["runs"]) == 2
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
