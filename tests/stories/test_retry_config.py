"""`gitorch retry --config`: a failed run goes on with its config as it is now."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

CONFIG = """
    lr: 0.1
    gitorch: {matrix: {seed: [1, 2]}}
    tasks:
      - {id: a, command: "echo a {seed} >> {outputDir}/a.txt"}
      - {id: b, command: "cat data/x{seed}"}
"""
LINKED = CONFIG.replace("seed: [1, 2]}", "seed: [1, 2]}, link: [data], timeout: 5m")


@pytest.fixture
def failed(project: Path) -> Path:
    """Return a project with two runs that failed, since their config does not link the data."""
    commit_files(project, {".gitignore": "data/\n"})
    write(project, "data/x1", "1\n")
    write(project, "data/x2", "2\n")
    write(project, "experiments/e.yaml", CONFIG)
    stderr = gitorch(project, "run", "experiments", code=1).stderr
    assert "  new config: gitorch retry" in stderr
    return project


def test_the_runs_go_on_with_the_new_config(failed: Path) -> None:
    new = LINKED.replace("echo a", "echo other").replace("cat ", "cat -n ")
    write(failed, "experiments/e.yaml", new)
    gitorch(failed, "retry", "--all", "--config", "--why", "linked")
    gitorch(failed, "run")
    runs = gitorch_json(failed, "list")["runs"]
    assert [run["status"] for run in runs] == ["COMPLETE", "COMPLETE"]
    run = gitorch_json(failed, "show", "e seed=2")["run"]
    why = "linked; with the config as it is now: link, b.command, b.timeout"
    assert why in [change.get("why") for change in run["history"]]
    assert run["spec"]["link"] == ["data"]
    assert [task["command"] for task in run["spec"]["tasks"]] == [
        "echo a {seed} >> {outputDir}/a.txt",
        "cat -n data/x{seed}",
    ], "a finished task stays as it ran"
    log = gitorch(failed, "logs", run["id"], "--task", "b").stdout
    assert log == "     1\t2\n"
    path = f"runs/{run['id'][:2]}/{run['id']}/config.yaml"
    stored = git(failed, "show", f"gitorch/results:{path}")
    assert stored == (failed / "experiments/e.yaml").read_text().rstrip("\n")


def test_settings_of_the_config_are_taken_over(failed: Path) -> None:
    new = "link: [data], timeout: 5m, retries: 2, resources: {cpus: 1}, env: {A: b}"
    text = LINKED.replace("link: [data], timeout: 5m", new)
    write(failed, "experiments/e.yaml", text.replace("cat ", "test $A = b; cat "))
    done = gitorch_json(failed, "retry", "e seed=1", "--config", "--run")
    assert [run["status"] for run in done["runs"]] == ["COMPLETE"]
    run = gitorch_json(failed, "show", "e seed=1")["run"]
    notes = [
        change["why"] for change in run["history"] if change["from"] == "ERROR"
    ]
    assert notes == [
        "with the config as it is now: "
        "env, link, b.command, b.resources, b.retries, b.timeout"
    ]
    task = run["spec"]["tasks"][1]
    assert (task["retries"]["max"], task["timeout_s"]) == (2, 300)
    assert task["resources"]["cpus"] == 1


@pytest.mark.parametrize(
    ("command", "ways"),
    [
        ("python3 -c 'raise ValueError(1)'", ["try again", "with a fix"]),
        ("cat nosuch", ["try again", "new config", "with a fix"]),
        ("exit 3", ["try again", "with a fix", "new config"]),
        ("echo 'No space left on device' >&2; exit 1", ["try again"]),
    ],
)
def test_hints_name_the_fix_that_fits(
    project: Path, command: str, ways: list[str]
) -> None:
    task = {"id": "t", "command": command}
    write(project, "experiments/a.yaml", json.dumps({"tasks": [task]}))
    said = gitorch(project, "run", "experiments", code=1).stderr
    assert re.findall(r"^  (\w+ \w+ ?\w*): +gitorch retry", said, re.M) == ways


def test_a_retried_run_is_the_run_that_ready_would_make(failed: Path) -> None:
    write(failed, "experiments/e.yaml", LINKED)
    gitorch(failed, "retry", "--all", "--config", "--from", "a")
    assert gitorch_json(failed, "ready")["queued"] == []


def test_what_does_not_fit_is_refused_and_changes_nothing(failed: Path) -> None:
    tip = git(failed, "rev-parse", "gitorch/results")
    no_run = "has no run with the parameters and tasks of e seed="
    for before, after, message in (
        ("lr: 0.1", "lr: 0.2", no_run),
        ("id: b", "id: c", no_run),
        ("cat data", "cat {nosuch} data", "nosuch"),
        ("link: [data]", "link: [nosuch]", "nosuch"),
    ):
        write(failed, "experiments/e.yaml", LINKED.replace(before, after))
        refused = gitorch(failed, "retry", "--all", "--config", code=4).stderr
        assert message in refused
        assert git(failed, "rev-parse", "gitorch/results") == tip


def test_a_config_that_is_gone_or_the_same_is_said(failed: Path) -> None:
    same = gitorch(failed, "retry", "e seed=1", "--config").stderr
    assert "its config says the same as before" in same
    (failed / "experiments/e.yaml").unlink()
    gitorch(failed, "retry", "e seed=2", "--config", code=3)


def test_the_new_config_and_fixed_code_can_be_taken_together(failed: Path) -> None:
    fixed = commit_files(failed, {"tool.sh": "cat data/x$1\n"})
    new = LINKED.replace("cat data/x{seed}", "sh tool.sh {seed}")
    write(failed, "experiments/e.yaml", new)
    gitorch(failed, "retry", "e seed=1", "--config", "--at", "HEAD")
    gitorch(failed, "run", "e seed=1")
    run = gitorch_json(failed, "show", "e seed=1")["run"]
    assert (run["status"], run["pin"]["commit"]) == ("COMPLETE", fixed)


def test_uncommitted_changes_are_refused_as_by_ready(failed: Path) -> None:
    (failed / "README.md").write_text("An edit.\n")
    for revision in ("HEAD", "@"):
        refused = gitorch(failed, "retry", "--all", "--at", revision, code=4).stderr
        assert "uncommitted changes would not be in the run: README.md" in refused
    head = git(failed, "rev-parse", "HEAD")
    assert f"--at {head[:12]} to retry without them" in refused
    gitorch(failed, "retry", "--all", "--at", head)
