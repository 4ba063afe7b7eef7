"""A sweep of 300 points with the demo's code and data, whose worker is killed twice.

This is gitorch's main purpose.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
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

RATES = [round(0.05 * step, 2) for step in range(1, 61)]
SEEDS = [1, 2, 3, 4, 5]
SWEEP = """
    outputDir: penguins/{{name}}
    data: penguins.csv
    features: [bill_length_mm, bill_depth_mm]
    testShare: 0.3
    epochs: 2
    gitorch:
      matrix:
        learningRate: {rates}
        seed: {seeds}
    tasks:
      - {{id: prepare, method: Prepare, gitorch: {{cache: {{params: [seed], code: [Tasks.py]}}}}}}
      - {{id: train, method: Train}}
      - {{id: evaluate, method: Evaluate}}
    """


@pytest.mark.timeout(900)
def test_a_sweep_of_300_points_from_its_config_to_its_means(tmp_path: Path) -> None:
    """Each point runs once, `list --group` shows the means, and prepared data is reused."""
    root = tmp_path / "penguins"
    gitorch(tmp_path, "demo", root)
    write_sweep(root, RATES)
    assert len(ready(root)) == 300
    for completed_runs in (20, 120):
        run_and_kill_after(root, completed_runs)
    gitorch(root, "run", "-j", "2", timeout=600)

    runs = points(root)
    assert Counter(run["status"] for run in runs) == {"COMPLETE": 300}
    assert {values(run) for run in runs} == {
        (rate, seed) for rate in RATES for seed in SEEDS
    }
    assert sorted(seeds_prepared(root, runs)) == SEEDS, (
        "the data is prepared once for each seed"
    )
    git(root, "fsck", "--no-dangling")

    grouped = ("list", "--where", "name == 'sweep'", "--group", "learningRate")
    means = {}
    for group in gitorch_json(root, *grouped)["groups"]:
        means[group["by"]["params.learningRate"]] = group["metrics"]["accuracy"][
            "mean"
        ]
    assert means == {
        rate: pytest.approx(mean_accuracy(runs, rate)) for rate in RATES
    }
    table = gitorch(root, *grouped).stdout.splitlines()
    assert len(table) == 1 + len(RATES)

    assert ready(root) == [], "no run is queued twice"
    write_sweep(root, [*RATES, 5.0])
    assert {values(run) for run in ready(root)} == {
        (5.0, seed) for seed in SEEDS
    }, "only the new points are queued"
    gitorch(root, "run", "-j", "2")
    new = [run for run in points(root) if values(run)[0] == 5.0]
    assert seeds_prepared(root, new) == [], (
        "an extended sweep reuses the prepared data"
    )

    commit_files(root, {"README.md": "Penguins, again.\n"})
    assert seeds_prepared(root, run_one_rate(root)) == [], (
        "no dependency has changed"
    )
    commit_files(
        root, {"Tasks.py": f"{(root / 'Tasks.py').read_text()}\nUNUSED = True\n"}
    )
    assert sorted(seeds_prepared(root, run_one_rate(root))) == SEEDS, (
        "the code has changed"
    )


def write_sweep(root: Path, rates: Sequence[float]) -> None:
    write(
        root, "experiments/sweep.yaml", SWEEP.format(rates=list(rates), seeds=SEEDS)
    )


def ready(root: Path, *options: str) -> list[dict[str, Any]]:
    """Queue the sweep and return the new runs."""
    result = gitorch_json(root, "ready", "experiments/sweep.yaml", *options)
    queued: list[dict[str, Any]] = result["queued"]
    return queued


def run_and_kill_after(root: Path, completed_runs: int) -> None:
    """Start `gitorch run`, and kill it when this number of runs is complete."""
    worker = started(root, "run", "-j", "2")
    wait_for(lambda: count_complete(root) >= completed_runs, 300)
    worker.kill()
    worker.communicate()
    assert count_complete(root) < 300


def count_complete(root: Path) -> int:
    return len([run for run in points(root) if run["status"] == "COMPLETE"])


def mean_accuracy(runs: Sequence[dict[str, Any]], rate: float) -> float:
    """Return the mean accuracy of the runs with this learning rate."""
    return statistics.mean(
        run["metrics"]["accuracy"] for run in runs if values(run)[0] == rate
    )


def run_one_rate(root: Path) -> list[dict[str, Any]]:
    """Run one learning rate with all its seeds at HEAD, and return the runs."""
    queued = ready(root, "-S", "learningRate=0.1")
    assert len(queued) == len(SEEDS)
    gitorch(root, "run", "-j", "2")
    return queued


def points(root: Path) -> list[dict[str, Any]]:
    """Return all runs of the sweep."""
    runs: list[dict[str, Any]] = gitorch_json(
        root, "list", "--where", "name == 'sweep'"
    )["runs"]
    return runs


def values(run: dict[str, Any]) -> tuple[float, int]:
    """Return the learning rate and the seed of a run."""
    return run["params"]["learningRate"], run["params"]["seed"]


def seeds_prepared(root: Path, runs: Sequence[dict[str, Any]]) -> list[int]:
    """Return the seed of each attempt of `prepare`; a reused result has no attempt."""
    seeds = []
    for run in runs:
        path = f"runs/{run['id'][:2]}/{run['id']}/record.json"
        record = json.loads(git(root, "show", f"gitorch/results:{path}"))
        prepare, *_ = record["tasks"]
        seeds += [run["params"]["seed"]] * prepare["attempt_count"]
    return seeds
