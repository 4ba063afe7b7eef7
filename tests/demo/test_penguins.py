"""The demo's own code and data, used without gitorch."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

DEMO = Path(__file__).parents[2] / "demo"
CONFIGS = sorted((DEMO / "experiments").glob("*.yaml"))


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module Tasks.py, in the directory that its tasks run in."""
    monkeypatch.chdir(DEMO)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("demo_tasks", "Tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config_of(name: str, output: Path) -> dict[str, Any]:
    return {
        **yaml.safe_load((DEMO / "experiments" / f"{name}.yaml").read_text()),
        "outputDir": str(output),
    }


def run_all(tasks: ModuleType, config: dict[str, Any]) -> None:
    for task in config["tasks"]:
        getattr(tasks, task["method"])(config).run()


def test_the_data_are_the_published_table() -> None:
    with (DEMO / "penguins.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    species = [row["species"] for row in rows]
    assert {name: species.count(name) for name in sorted(set(species))} == {
        "Adelie": 152,
        "Chinstrap": 68,
        "Gentoo": 124,
    }
    bills = [
        float(row["bill_length_mm"])
        for row in rows
        if row["bill_length_mm"] != "NA"
    ]
    masses = [int(row["body_mass_g"]) for row in rows if row["body_mass_g"] != "NA"]
    assert (len(bills), round(sum(bills) / len(bills), 5)) == (342, 43.92193)
    assert (min(masses), max(masses), round(sum(masses) / len(masses), 3)) == (
        2700,
        6300,
        4201.754,
    )


def test_the_readme_names_the_source_and_the_licence() -> None:
    readme = (DEMO / "README.md").read_text()
    assert "CC0" in readme
    assert "Horst AM, Hill AP, Gorman KB" in readme


@pytest.mark.parametrize(
    ("name", "accuracy"),
    [("body-size", 0.8447), ("bill-shape", 0.9709), ("all-measurements", 0.9903)],
)
def test_each_experiment_reaches_a_different_accuracy(
    tasks: ModuleType, tmp_path: Path, name: str, accuracy: float
) -> None:
    run_all(tasks, config_of(name, tmp_path))
    assert (
        json.loads((tmp_path / "metrics.json").read_text())["accuracy"] == accuracy
    )


def test_every_experiment_is_tested() -> None:
    assert [path.stem for path in CONFIGS] == [
        "all-measurements",
        "bill-shape",
        "body-size",
    ]


def test_the_confusion_matrix_is_an_aligned_table(
    tasks: ModuleType, tmp_path: Path
) -> None:
    run_all(tasks, config_of("bill-shape", tmp_path))
    assert (tmp_path / "confusion.txt").read_text() == "\n".join(
        [
            "                Adelie  Chinstrap     Gentoo",
            "     Adelie         41          0          0",
            "  Chinstrap          0         14          2",
            "     Gentoo          0          1         45",
            "",
        ]
    )


def test_the_same_seed_produces_the_same_bytes(
    tasks: ModuleType, tmp_path: Path
) -> None:
    kept = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run_all(tasks, config_of("bill-shape", tmp_path / name))
        kept.append(
            {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        )
    assert kept[0] == kept[1]
    assert sorted(kept[0]) == [
        "confusion.txt",
        "metrics.json",
        "model.json",
        "prepared.json",
    ]


def test_preparing_drops_unmeasured_penguins_and_separates_training_from_test_data(
    tasks: ModuleType, tmp_path: Path
) -> None:
    sizes = tasks.Prepare(config_of("all-measurements", tmp_path)).run()
    prepared = json.loads((tmp_path / "prepared.json").read_text())
    assert sizes == {"train_size": 239, "test_size": 103}
    assert {part: len(rows) for part, rows in prepared.items()} == {
        "train": 239,
        "test": 103,
    }
    for column in list(zip(*prepared["train"], strict=True))[1:]:
        assert sum(column) / 239 == pytest.approx(0, abs=1e-9)


def test_training_reports_the_loss_and_the_progress_of_every_epoch(
    tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    monkeypatch.setenv("GITORCH_EVENTS", str(tmp_path / "events.jsonl"))
    config = config_of("bill-shape", output)
    tasks.Prepare(config).run()
    tasks.Train(config).run()
    events = [
        json.loads(line)
        for line in (tmp_path / "events.jsonl").read_text().splitlines()
    ]
    losses = [event["value"] for event in events if event.get("metric") == "loss"]
    assert losses == sorted(losses, reverse=True)
    assert [event["progress"] for event in events if "progress" in event] == [
        [n, 60] for n in range(1, 61)
    ]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_experiment_is_valid(
    tasks: ModuleType, tmp_path: Path, path: Path
) -> None:
    config = config_of(path.stem, tmp_path)
    assert tasks.Prepare(config).validate() == []
    assert tasks.Train(config).validate() == []


def test_invalid_parameters_are_named_before_anything_runs(
    tasks: ModuleType, tmp_path: Path
) -> None:
    config = config_of("bill-shape", tmp_path) | {
        "data": "absent.csv",
        "features": ["bill_length_mm", "wing_span"],
        "testShare": 1.0,
        "learningRate": 0,
        "epochs": 0,
    }
    assert tasks.Prepare(config).validate() == [
        "data: there is no file absent.csv",
        "features: 'wing_span' is not one of "
        "bill_length_mm, bill_depth_mm, flipper_length_mm, body_mass_g",
        "testShare: must lie between 0 and 1, is 1.0",
    ]
    assert tasks.Train(config).validate() == [
        "learningRate: must be above 0, is 0",
        "epochs: must be at least 1, is 0",
    ]
