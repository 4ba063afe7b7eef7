"""The progress that `status` shows of tasks that report it in different ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import gitorch, gitorch_json, started, wait_for, write

BAR = "train:  30%|###       | 30/100 [00:05<00:12, 5.5it/s]"
STEP = json.dumps({"metric": "loss", "value": 0.5, "step": 7})


def test_progress_comes_from_a_bar_from_steps_or_from_earlier_runs(
    project: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    wait = f"until test -e {go}; do sleep 0.05; done"
    commands = {
        "bar": f"printf '%s\\r' '{BAR}'; {wait}",
        "steps": f"echo '{STEP}' >> $GITORCH_EVENTS; {wait}",
        "silent": f"sleep 1; {wait}",
    }
    for name, command in commands.items():
        steps = {"steps": "epochs"} if name == "steps" else {}
        task = {
            "id": "train",
            "command": command,
        }
        config = {"epochs": 10, "gitorch": steps, "tasks": [task]}
        write(project, f"experiments/{name}.yaml", json.dumps(config))
    go.touch()
    gitorch(project, "run", "experiments/silent.yaml")
    go.unlink()
    gitorch(project, "ready", "--again")
    worker = started(project, "run", "-j", "3")
    try:
        wait_for(lambda: _says_enough(_running(project)))
        running = _running(project)
    finally:
        go.touch()
        worker.communicate(timeout=20)
    bar, steps, silent = running["bar"], running["steps"], running["silent"]
    assert bar["progress"] == {"done": 30, "total": 100, "source": "tqdm"}
    assert 0 < bar["eta_s"]["p50"] <= 12
    assert bar["eta_s"]["source"] == "from its own progress"
    assert steps["progress"] == {"done": 7, "total": 10, "source": "steps"}
    assert steps["metric"] == {"name": "loss", "value": 0.5, "step": 7}
    assert steps["share"] == 0.7
    assert silent["progress"] is None
    assert silent["eta_s"]["source"] == "from 1 earlier run"
    assert 0 < silent["share"] < 1


def _running(project: Path) -> dict[str, Any]:
    runs = gitorch_json(project, "status")["runs"]
    return {run["name"]: run for run in runs if run["status"] == "RUNNING"}


def _says_enough(running: dict[str, Any]) -> bool:
    if len(running) < 3:
        return False
    return bool(running["bar"]["progress"] and running["steps"]["progress"])
