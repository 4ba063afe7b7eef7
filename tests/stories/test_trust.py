"""Verdicts are recorded in both runs, and a run that is not to be trusted is marked everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """
import gitorch, time

class Score(gitorch.TaskBase):
    def run(self):
        return {"score": self.config.get("seed", time.time_ns()) % 1000003}
"""
WHY = "the labels were shifted"


@pytest.fixture
def project(project: Path) -> Path:
    files = {
        "Tasks.py": TASKS,
        "experiments/a.yaml": "seed: 3\ntasks: [{id: t, method: Score}]",
        "experiments/clock.yaml": "tasks: [{id: t, method: Score}]",
    }
    commit_files(project, files)
    gitorch(project, "run", "experiments", code=0)
    return project


def listed(project: Path, *words: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = gitorch_json(project, "list", *words)["runs"]
    return runs


def record(project: Path, run: str) -> dict[str, Any]:
    shown: dict[str, Any] = gitorch_json(project, "show", run)["run"]
    return shown


def test_both_runs_have_the_verdict(project: Path) -> None:
    [first] = listed(project, "--name", "a")
    assert first["verified"] is None
    gitorch(project, "verify", "--all", code=2)
    gitorch(project, "verify", "a", "clock", code=1)
    [repetition, original] = listed(project, "--name", "a")
    assert original["id"] == first["id"]
    for run in (original, repetition):
        assert run["verified"] == "identical"
        [verdict] = record(project, run["id"])["verdicts"]
        assert verdict["id"], verdict["of"] == (repetition["id"], original["id"])
    both = listed(project, "--where", "verified == differs")
    assert [run["name"] for run in both] == ["clock", "clock"]
    assert "verified" in gitorch(project, "list").stdout.splitlines()[0]
    shown = gitorch(project, "show", original["id"]).stdout
    assert f"  verified  identical  (by {repetition['id']}, " in shown
    shown = gitorch(project, "show", both[0]["id"]).stdout
    assert f"1 difference  (repeats {both[1]['id']}, " in shown
    subject = git(project, "log", "-1", "--format=%s", "gitorch/results")
    assert subject == "verify: 1 of 2 runs reproduced"


def test_an_invalid_run_is_marked_and_counts_no_more(project: Path) -> None:
    [run] = listed(project, "--name", "a")
    gitorch(project, "invalidate", "a", code=2)
    gitorch(project, "invalidate", "a", "--why", WHY)
    again = gitorch(project, "invalidate", "a", "--why", "twice", code=4).stderr
    assert f"is invalid already: {WHY}" in again
    note = f"note: a ({run['id']}) is invalid: {WHY}\n"
    for words in (
        ("show", "a"),
        ("logs", "a"),
        ("outputs", "a"),
        ("compare", "a", "clock"),
        ("checkout-run", "a"),
        ("rerun", "a", "--queue"),
    ):
        assert note in gitorch(project, *words).stderr, words
    table = gitorch(project, "list").stdout
    assert "invalid" in table.splitlines()[0]
    assert WHY in table
    [invalid] = listed(project, "--where", "invalid != null")
    assert (invalid["invalid"], invalid["status"]) == (WHY, "COMPLETE")
    assert f"  invalid  {WHY}  (" in gitorch(project, "show", run["id"]).stdout
    gitorch(project, "run")  # the rerun
    [group] = gitorch_json(project, "list", "--name", "a", "--group", "name")[
        "groups"
    ]
    assert (group["runs"], group["count"], group["left_out"]) == (2, 1, 1)
    gitorch(project, "invalidate", run["id"], "--undo", "--why", "they were not")
    assert note not in gitorch(project, "show", run["id"]).stderr
    assert listed(project, "--where", "invalid != null") == []
    [mark] = record(project, run["id"])["invalidations"]
    assert mark["why"] == WHY
    assert mark["undone"]["why"] == "they were not"
    gitorch(project, "invalidate", run["id"], "--undo", code=4)


def test_an_invalid_run_is_made_anew(project: Path) -> None:
    [run] = listed(project, "--name", "a")
    assert gitorch_json(project, "ready")["queued"] == []
    gitorch(project, "invalidate", run["id"], "--why", WHY)
    [new] = gitorch_json(project, "ready")["queued"]
    assert new["name"] == "a"


def test_only_complete_runs_are_marked(project: Path) -> None:
    write(project, "experiments/bad.yaml", 'tasks: [{id: t, command: "exit 3"}]')
    gitorch(project, "run", "experiments/bad.yaml", code=1)
    refused = gitorch(project, "invalidate", "bad", "--why", WHY, code=4).stderr
    assert "is ERROR, and invalidate is for COMPLETE runs" in refused
    changed = gitorch_json(
        project, "invalidate", "--where", "id != ''", "--why", WHY, "--json"
    )
    assert len(changed["changed"]) == 2
    assert len(changed["refused"]) == 1


def test_the_cache_does_not_give_results_of_an_invalid_run(project: Path) -> None:
    task = '{id: t, command: "echo ran >> {outputDir}/x", gitorch: {cache: {params: []}}}'
    for name in ("one", "two", "three"):
        config = f"which: {name}\ntasks: [{task}]"
        write(project, f"experiments/{name}.yaml", config)
    one, two, three = (
        f"experiments/{name}.yaml" for name in ("one", "two", "three")
    )
    gitorch(project, "run", one)
    gitorch(project, "run", two)
    assert record(project, "two")["tasks"][0]["attempts"] == []
    marked = gitorch(project, "invalidate", "one", "--why", WHY).stderr
    [reuser] = listed(project, "--name", "two")
    assert f"1 run took results of these from the cache: {reuser['id']}" in marked
    gitorch(project, "run", three)
    assert len(record(project, "three")["tasks"][0]["attempts"]) == 1
