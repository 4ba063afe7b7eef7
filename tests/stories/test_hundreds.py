"""A sweep of 300 points, killed twice on its way: what gitorch is for, on the demo's own code and data."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write

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
    root = tmp_path / "penguins"
    gitorch(tmp_path, "demo", root)
    write_sweep(root, RATES)
    assert len(ready(root)) == 300
    for enough in (20, 120):
        is_killed_after(root, enough)
    gitorch(root, "run", "-j", "2", timeout=600)

    runs = points(root)
    assert Counter(run["status"] for run in runs) == {"COMPLETE": 300}
    assert {values(run) for run in runs} == {(rate, seed) for rate in RATES for seed in SEEDS}
    assert sorted(prepared(root, runs)) == SEEDS, "once for each seed"
    git(root, "fsck", "--no-dangling")

    groups = gitorch_json(root, "list", "--where", "name == 'sweep'", "--group", "learningRate")[
        "groups"
    ]
    assert {
        group["by"]["params.learningRate"]: group["metrics"]["accuracy"]["mean"] for group in groups
    } == {
        rate: pytest.approx(
            statistics.mean(run["metrics"]["accuracy"] for run in runs if values(run)[0] == rate)
        )
        for rate in RATES
    }
    table = gitorch(
        root, "list", "--where", "name == 'sweep'", "--group", "learningRate"
    ).stdout.splitlines()
    assert len(table) == 1 + len(RATES)

    assert ready(root) == [], "nothing is queued twice"
    write_sweep(root, [*RATES, 5.0])
    assert {values(run) for run in ready(root)} == {(5.0, seed) for seed in SEEDS}, (
        "only what is new"
    )
    gitorch(root, "run", "-j", "2")
    new = [run for run in points(root) if values(run)[0] == 5.0]
    assert prepared(root, new) == [], "the same preparations, also in a sweep that grew"

    commit_files(root, {"README.md": "Penguins, again.\n"})
    assert prepared(root, again(root)) == [], "nothing that it depends on has changed"
    commit_files(root, {"Tasks.py": f"{(root / 'Tasks.py').read_text()}\nUNUSED = True\n"})
    assert sorted(prepared(root, again(root))) == SEEDS, "other code: it is computed anew"


def write_sweep(root: Path, rates: Sequence[float]) -> None:
    write(root, "experiments/sweep.yaml", SWEEP.format(rates=list(rates), seeds=SEEDS))


def ready(root: Path, *options: str) -> list[dict[str, Any]]:
    queued: list[dict[str, Any]] = gitorch_json(root, "ready", "experiments/sweep.yaml", *options)[
        "queued"
    ]
    return queued


def is_killed_after(root: Path, enough: int) -> None:
    """`gitorch run` is gone at once, once so many runs are complete."""
    worker = started(root, "run", "-j", "2")
    wait_for(lambda: sum(run["status"] == "COMPLETE" for run in points(root)) >= enough, 300)
    worker.kill()
    worker.communicate()
    assert sum(run["status"] == "COMPLETE" for run in points(root)) < 300


def again(root: Path) -> list[dict[str, Any]]:
    """One learning rate with all its seeds, run at the code as it is now."""
    queued = ready(root, "-S", "learningRate=0.1")
    assert len(queued) == len(SEEDS)
    gitorch(root, "run", "-j", "2")
    return queued


def points(root: Path) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = gitorch_json(root, "list", "--where", "name == 'sweep'")["runs"]
    return runs


def values(run: dict[str, Any]) -> tuple[float, int]:
    return run["params"]["learningRate"], run["params"]["seed"]


def prepared(root: Path, runs: Sequence[dict[str, Any]]) -> list[int]:
    """The seed of every attempt that was made at `prepare`."""
    seeds = []
    for run in runs:
        record = json.loads(
            git(root, "show", f"gitorch/results:runs/{run['id'][:2]}/{run['id']}/record.json")
        )
        prepare, *_ = record["tasks"]
        seeds += [run["params"]["seed"]] * prepare["attempt_count"]
    return seeds
