"""The words that refer to runs, and the verbs that take them, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import gitorch, gitorch_json, write

SWEEP = """
    gitorch: {matrix: {lr: [1, 2], seed: [1, 2]}}
    tasks: [{id: t, command: "echo {lr} {seed}"}]
"""


@pytest.fixture
def swept(project: Path) -> Path:
    """Return a project in which the four runs of `net` wait, and `old` was queued before."""
    write(project, "experiments/old.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    write(project, "experiments/net.yaml", SWEEP)
    gitorch(project, "ready")
    return project


def ids(root: Path) -> dict[str, str]:
    """Return the ids of the runs by label; of the same label, the newest."""
    runs = gitorch_json(root, "list")["runs"]
    return {run["label"]: run["id"] for run in reversed(runs)}


def statuses(root: Path) -> dict[str, str]:
    return {
        run["label"]: run["status"] for run in gitorch_json(root, "list")["runs"]
    }


def shown(root: Path, reference: str) -> str:
    run_id: str = gitorch_json(root, "show", reference)["run"]["id"]
    return run_id


def test_earlier_runs_of_a_name_and_words_of_labels(swept: Path) -> None:
    by_label = ids(swept)
    assert shown(swept, "net") == by_label["net lr=2 seed=2"]
    assert shown(swept, "net~1") == by_label["net lr=2 seed=1"]
    assert shown(swept, "net~3") == by_label["net lr=1 seed=1"]
    assert shown(swept, "seed=1 lr=2") == by_label["net lr=2 seed=1"]
    missing = gitorch(swept, "show", "net~4", code=3)
    assert "there is no net~4: 4 runs called 'net'" in missing.stderr
    ambiguous = gitorch(swept, "hold", "net seed=2", code=2).stderr
    assert "net seed=2 is ambiguous: 2 runs have this in their labels:" in ambiguous
    for label in ("net lr=1 seed=2", "net lr=2 seed=2"):
        assert f"  {by_label[label]}  {label}  " in ambiguous
    assert "HOLD" not in statuses(swept).values()


def test_the_runs_that_were_queued_last(swept: Path) -> None:
    gitorch(swept, "hold", "@last", "--where", "params.lr == 2")
    gitorch(swept, "set", "@last", "--priority", "3")
    changed = gitorch_json(swept, "hold", "@last")
    assert len(changed["changed"]) == 2, "those that are held already are counted"
    assert len(changed["refused"]) == 2
    assert statuses(swept)["old"] == "WAITING"
    assert "is ambiguous: 4 runs" in gitorch(swept, "show", "@last", code=2).stderr
    gitorch(swept, "kill", "@last", "--yes")
    assert list(statuses(swept)) == ["old"]
    assert "queued last" in gitorch(swept, "release", "@last", code=3).stderr
    gitorch(swept, "rerun", "--queue", "old")
    assert gitorch(swept, "run", "@last").returncode == 0
    assert [run["status"] for run in gitorch_json(swept, "list")["runs"]] == [
        "COMPLETE",
        "WAITING",
    ]


def test_run_takes_all_waiting_runs_of_a_name(swept: Path) -> None:
    gitorch(swept, "hold", "net~1")
    ran = gitorch(swept, "run", "net")
    assert "note: net: 3 runs of this name: " in ran.stderr
    assert statuses(swept) == {
        "net lr=2 seed=2": "COMPLETE",
        "net lr=2 seed=1": "HOLD",
        "net lr=1 seed=2": "COMPLETE",
        "net lr=1 seed=1": "COMPLETE",
        "old": "WAITING",
    }
    assert (
        "is COMPLETE and cannot be run"
        in gitorch(swept, "run", "net", code=4).stderr
    )
    nothing = gitorch_json(swept, "run", "--where", "params.lr == 1")
    assert nothing["runs"] == []
    gitorch(swept, "release", "lr=2 seed=1")
    gitorch(swept, "run", "--status", "waiting", "--name", "n*")
    assert statuses(swept)["net lr=2 seed=1"] == "COMPLETE"
    assert statuses(swept)["old"] == "WAITING"
    gitorch(swept, "run", "old", "--name", "o*", code=2)


def test_a_config_is_run_again(swept: Path) -> None:
    gitorch(swept, "run", "experiments/old.yaml")
    gitorch(swept, "run", "experiments/old.yaml", "--again")
    of_old = [
        run for run in gitorch_json(swept, "list")["runs"] if run["name"] == "old"
    ]
    assert [run["status"] for run in of_old] == ["COMPLETE", "COMPLETE"]
    assert (
        "gitorch rerun ID" in gitorch(swept, "run", "old", "--again", code=2).stderr
    )
