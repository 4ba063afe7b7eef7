"""The series of a run: every value of a metric, with its step and its time."""

from __future__ import annotations

import csv
import json
import time
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

TASKS = """
import gitorch
class Train(gitorch.TaskBase):
    def run(self):
        for step in (3, 1, 2):
            gitorch.metric("loss", 1 / step, step)
        gitorch.metric("loss", float("nan"), 4)
        return {"acc": 0.5}
"""
REPORT = """
import json, os, sys, time
with open(os.environ["GITORCH_EVENTS"], "a") as file:
    for step in range(int(sys.argv[1])):
        print(json.dumps({"metric": "loss", "value": step % 7, "step": step}), file=file)
if len(sys.argv) > 2:
    while not os.path.exists(sys.argv[2]):
        time.sleep(0.02)
"""


def series(root: Path, *words: str) -> dict[str, Any]:
    found = gitorch_json(root, "metrics", *words)
    assert found["schema"] == "gitorch/metrics/v1"
    return dict(found["series"])


def test_steps_and_times_are_kept(project: Path) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    config = "tasks: [{id: train, method: Train}]"
    write(project, "experiments/a.yaml", config)
    gitorch(project, "run", "experiments")
    found = gitorch_json(project, "metrics", "a")
    points = found["series"]["loss"]
    assert [point[:2] for point in points] == [
        [3, 1 / 3],
        [1, 1.0],
        [2, 0.5],
        [4, None],
    ]
    assert all(abs(time.time() - seconds) < 60 for _, _, seconds in points)
    assert found["series"]["acc"] == [[None, 0.5, None]]
    assert found["totals"] == {"loss": 4, "acc": 1}
    assert found["sources"] == {"loss": "events", "acc": "final"}
    overview = gitorch(project, "metrics", "a").stdout.splitlines()
    assert overview[0].split() == [
        *("metric", "points", "steps", "lowest", "highest", "last"),
    ]
    assert overview[2].split() == ["acc", "1", "0.5", "0.5", "0.5"]
    assert overview[1].split() == ["loss", "4", "1-4", "0.333333", "1", "null"]
    table = gitorch(project, "metrics", "a", "loss").stdout.splitlines()
    assert [line.split()[:2] for line in table] == [
        *(["step", "loss"], ["3", "0.333333"], ["1", "1"], ["2", "0.5"]),
        ["4", "null"],
    ]
    text = gitorch(project, "metrics", "a", "--csv").stdout
    rows = [row[:3] for row in csv.reader(text.splitlines())]
    assert rows[0] == ["metric", "step", "value"]
    assert rows[-2] == ["loss", "4", ""]
    assert rows[-1] == ["acc", "", "0.5"]


def test_what_there_is_not_is_said(project: Path) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    write(project, "experiments/a.yaml", "tasks: [{id: train, method: Train}]")
    write(project, "experiments/b.yaml", 'tasks: [{id: t, command: "true"}]')
    gitorch(project, "run", "experiments")
    wrong = gitorch(project, "metrics", "a", "los", code=3).stderr
    assert "a has no metric 'los', did you mean 'loss'?" in wrong
    assert (
        "has no attempt 2"
        in gitorch(project, "metrics", "a", "--attempt", "2", code=3).stderr
    )
    assert (
        "has no task 'x'"
        in gitorch(project, "metrics", "a", "--task", "x", code=3).stderr
    )
    nothing = gitorch(project, "metrics", "b")
    assert (nothing.stdout, nothing.stderr) == ("", "b has no metrics\n")
    assert series(project, "b") == {}


def test_each_attempt_has_its_own_series(project: Path) -> None:
    """The last attempt counts. An earlier one can be asked for."""
    write(project, "report.py", REPORT)
    write(
        project,
        "experiments/a.yaml",
        """
        tasks:
          - id: t
            command: python3 report.py $((GITORCH_ATTEMPT * 2)); test $GITORCH_ATTEMPT = 2
            gitorch: {retries: 1}
        """,
    )
    git(project, "add", "-A")
    git(project, "commit", "-qm", "report")
    gitorch(project, "run", "experiments")
    assert [point[0] for point in series(project, "a")["loss"]] == [0, 1, 2, 3]
    first = series(project, "a", "--attempt", "1")["loss"]
    assert [point[0] for point in first] == [0, 1]


def test_a_run_that_runs_and_secrets_in_names(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t-of-mine"
    monkeypatch.setenv("MY_TOKEN", secret)
    flag = tmp_path / "go-on"
    commit_files(project, {"report.py": REPORT.replace("loss", f"loss {secret}")})
    write(
        project,
        "experiments/a.yaml",
        f'tasks: [{{id: t, command: "python3 report.py 5 {flag}"}}]',
    )
    worker = started(project, "run", "experiments", "--json")

    def are_there() -> bool:
        listed = gitorch(project, "metrics", "a", "--json", code=None)
        return listed.returncode == 0 and bool(json.loads(listed.stdout)["series"])

    wait_for(are_there)
    found = gitorch_json(project, "metrics", "a")
    assert found["tasks"][0]["running"] is True
    assert list(found["series"]) == ["loss ********"]
    assert len(found["series"]["loss ********"]) == 5
    flag.touch()
    worker.communicate(timeout=60)
    found = gitorch_json(project, "metrics", "a")
    assert found["tasks"][0]["running"] is False
    assert list(found["series"]) == ["loss ********"]


def test_a_large_file_of_events_is_reduced(project: Path) -> None:
    commit_files(project, {"report.py": REPORT})
    write(
        project,
        "experiments/a.yaml",
        'tasks: [{id: t, command: "python3 report.py 30000"}]',
    )
    gitorch(project, "run", "experiments")
    assert len(series(project, "a")["loss"]) == 30_000
    few = gitorch_json(project, "metrics", "a", "--points", "100")
    assert 30 <= len(few["series"]["loss"]) <= 100
    assert few["totals"] == {"loss": 30_000}
    assert few["series"]["loss"][-1][0] == 29_999
    assert "30000   0-29999" in gitorch(project, "metrics", "a").stdout
