"""The series of a run: every value of a metric, with its step and its time."""

from __future__ import annotations

import csv
import json
import shutil
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
from tests.event_file import event_file, scalar
from tests.terminal import on_terminal

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


HYDRA_LIKE = """
import os, sys, time
os.chdir(os.environ["GITORCH_OUTPUT_DIR"])
attempt = int(os.environ["GITORCH_ATTEMPT"])
secret = os.environ.get("MY_TOKEN", "")
with open("metrics.csv", "w") as file:
    print("epoch,val_loss,lr" + secret, file=file)
    for epoch in (2, 1, 3):
        print(f"{epoch},{'nan' if epoch == 3 else epoch * attempt},0.5", file=file)
os.makedirs("dvclive/plots/metrics/eval", exist_ok=True)
with open("dvclive/plots/metrics/eval/map.tsv", "w") as file:
    print("timestamp", "step", "eval/map", sep="\\t", file=file)
    for step in range(3):
        print(1700000000000 + step * 500, step, step / 4, sep="\\t", file=file)
os.makedirs("tb", exist_ok=True)
for number in (1, 2):
    with open(f"tb/events.out.tfevents.{number}", "wb") as file:
        file.write(open(f"{sys.argv[1]}/{number}", "rb").read())
for step in range(3000):
    print(f"\\rstep {step} loss: {step % 9}", end="")
print()
if len(sys.argv) > 2:
    while not os.path.exists(sys.argv[2]):
        time.sleep(0.02)
sys.exit(attempt == 1)
"""
DECLARED = r"""
gitorch:
  discard: ["*"]
  retries: 1
  metrics:
    - {csv: metrics.csv, step: epoch}
    - {dvclive: dvclive}
    - "tb/*tfevents*"
    - {log: 'step (?P<step>\d+) loss: (?P<loss>[\d.]+)'}
"""


@pytest.fixture
def declared(project: Path, tmp_path: Path) -> Path:
    first = [scalar("train/acc", step / 4, step, 100.0 + step) for step in (1, 2)]
    again = [scalar("train/acc", step / 4, step, 200.0 + step) for step in (2, 3)]
    (tmp_path / "1").write_bytes(event_file(*first))
    (tmp_path / "2").write_bytes(event_file(*again))
    commit_files(project, {"train.py": HYDRA_LIKE})
    return project


def test_the_series_of_files_are_kept_for_each_attempt(
    declared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are discarded, the second attempt overwrites them, and the log is shortened."""
    monkeypatch.setenv("MY_TOKEN", "s3cr3t-of-mine")
    task = f'tasks: [{{id: t, command: "python3 train.py {tmp_path}"}}]'
    write(declared, "experiments/a.yaml", DECLARED + task)
    gitorch(declared, "run", "experiments")
    found = gitorch_json(declared, "metrics", "a")
    series = found["series"]
    assert series["val_loss"] == [[2, 4, None], [1, 2, None], [3, None, None]]
    assert series["eval.map"] == [
        [0, 0.0, 1700000000.0],
        [1, 0.25, 1700000000.5],
        [2, 0.5, 1700000001.0],
    ]
    assert series["train/acc"] == [
        *([1, 0.25, 101.0], [2, 0.5, 102.0]),
        *([2, 0.5, 202.0], [3, 0.75, 203.0]),
    ]
    assert "lr********" in series
    assert len(series["loss"]) <= 1000
    assert found["totals"]["loss"] == 3000
    assert series["loss"][-1] == [2999, 2, None]
    sources = found["sources"]
    assert (sources["val_loss"], sources["loss"]) == ("csv", "log")
    assert (sources["eval.map"], sources["train/acc"]) == ("dvclive", "tensorboard")
    first = gitorch_json(declared, "metrics", "a", "val_loss", "--attempt", "1")
    assert first["series"] == {
        "val_loss": [[2, 2, None], [1, 1, None], [3, None, None]]
    }


def test_the_files_of_a_run_that_runs(declared: Path, tmp_path: Path) -> None:
    flag = tmp_path / "go-on"
    task = f'tasks: [{{id: t, command: "python3 train.py {tmp_path} {flag}"}}]'
    write(declared, "experiments/a.yaml", DECLARED + task)
    worker = started(declared, "run", "experiments", "--json")

    def are_there() -> bool:
        listed = gitorch(declared, "metrics", "a", "--json", code=None)
        return (
            listed.returncode == 0 and "loss" in json.loads(listed.stdout)["series"]
        )

    wait_for(are_there)
    found = series(declared, "a")
    assert len(found["train/acc"]) == 4
    assert [point[0] for point in found["val_loss"]] == [2, 1, 3]
    flag.touch()
    worker.communicate(timeout=60)


def test_large_events_are_also_kept_reduced(project: Path) -> None:
    """A clone without the large file has the curve."""
    commit_files(project, {"report.py": REPORT})
    write(
        project,
        "experiments/a.yaml",
        'tasks: [{id: t, command: "python3 report.py 30000"}]',
    )
    gitorch(project, "run", "experiments")
    for directory in ("lfs", "gitorch/objects"):
        shutil.rmtree(project / ".git" / directory)
    found = gitorch_json(project, "metrics", "a", "--points", "500")
    assert found["totals"] == {"loss": 30_000}
    assert found["series"]["loss"][-1][0] == 29_999
    whole = gitorch(project, "metrics", "a", "--json")
    assert "note: the events are not read: the large file" in whole.stderr
    assert json.loads(whole.stdout)["totals"] == {"loss": 30_000}


def test_show_has_sparklines_on_a_terminal_only(project: Path) -> None:
    commit_files(project, {"report.py": REPORT})
    write(
        project,
        "experiments/a.yaml",
        'tasks: [{id: t, command: "python3 report.py 7"}]',
    )
    gitorch(project, "run", "experiments")
    assert "\n  loss  6\n" in gitorch(project, "show", "a").stdout
    for words in (("show", "a"), ("metrics", "a")):
        seen = on_terminal(project, *words, env={"GIT_PAGER": "cat"})
        [line] = [line for line in seen.lines if line.strip().startswith("loss")]
        assert line.rstrip().endswith("  ▁▂▃▅▆▇█")
    plain = on_terminal(
        project, "show", "a", env={"GIT_PAGER": "cat", "PYTHONIOENCODING": "ascii"}
    )
    assert "loss  6\n" in plain.text.replace("\r", "")
