"""The module that tasks import: the base class, and reports from inside a task."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gitorch
from gitorch import TaskBase, metric, progress
from gitorch.interpreter.environment import STAND_IN


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GITORCH_EVENTS", str(tmp_path / "events.jsonl"))
    return tmp_path / "events.jsonl"


def test_events_are_json_lines(events: Path) -> None:
    progress(1, 20)
    metric("loss", 0.5, step=3)
    metric("ünï", 7)
    for value in (math.nan, math.inf, -math.inf):
        metric("loss", value)
    found = [json.loads(line) for line in events.read_text().splitlines()]
    times = [event.pop("time") for event in found if "metric" in event]
    assert all(abs(time.time() - moment) < 60 for moment in times)
    assert found == [
        {"progress": [1, 20]},
        {"metric": "loss", "value": 0.5, "step": 3},
        {"metric": "ünï", "value": 7},
        {"metric": "loss", "value": None},
        {"metric": "loss", "value": None},
        {"metric": "loss", "value": None},
    ]


def test_numbers_of_other_kinds(events: Path) -> None:
    class Scalar:
        """A number like those of NumPy and of tensors."""

        def __float__(self) -> float:
            return 0.25

    metric("a", Scalar())  # type: ignore[arg-type]
    metric("b", True)
    assert [
        json.loads(line)["value"] for line in events.read_text().splitlines()
    ] == [0.25, 1]
    with pytest.raises((TypeError, ValueError)):
        metric("c", "many")  # type: ignore[arg-type]


def test_reports_outside_of_a_run_or_to_a_full_disk_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GITORCH_EVENTS", raising=False)
    progress(1, 2)
    for path in ("/nowhere/events", "/dev/full"):
        monkeypatch.setenv("GITORCH_EVENTS", path)
        metric("a", 1)


def test_events_of_several_processes_do_not_mix(events: Path) -> None:
    script = f"import sys; sys.path.insert(0, {STAND_IN!r}); import gitorch\n" + (
        "for step in range(300): gitorch.metric('x' * 2000, step)"
    )
    workers = [
        subprocess.Popen([sys.executable, "-S", "-c", script]) for _ in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert (
        len([json.loads(line) for line in events.read_text().splitlines()]) == 900
    )


def test_task_base_requires_run() -> None:
    class Task(TaskBase):
        def run(self) -> int:
            return self.config["x"]  # type: ignore[no-any-return]

    assert Task({"x": 3}).run() == 3
    assert list(Task({}).validate()) == []
    with pytest.raises(TypeError, match="abstract"):
        TaskBase({})  # type: ignore[abstract]


@pytest.mark.parametrize(
    "where", [str(Path(gitorch.__file__).parents[1]), STAND_IN]
)
def test_the_import_loads_no_other_module(where: str) -> None:
    script = (
        f"import sys; sys.path.insert(0, {where!r}); before = set(sys.modules)\nimport gitorch\n"
        + (
            "new = set(sys.modules) - before; "
            "print(sorted(name for name in new if not name.startswith('gitorch')))"
        )
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.strip("[]\n").replace("'", "").split(", ")) <= {
        "__future__",
        "",
    }
