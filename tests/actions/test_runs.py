"""`gitorch.runs()` returns results for programs. The tests use the real pandas and Polars."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import gitorch
from gitorch.actions.runs import Runs
from gitorch.errors import NotFound, ProgramMissing, UsageError
from tests.conftest import gitorch as run_gitorch
from tests.conftest import gitorch_json, write

SWEEP = """
    lr: 0.1
    seed: 1
    optimizer: {kind: adam, betas: [1, 2]}
    gitorch: {matrix: {lr: [0.1, 0.01]}}
    tasks:
      - id: t
        command:
          - sh
          - -c
          - 'echo "{\\"metric\\": \\"loss\\", \\"value\\": $0}" > $GITORCH_EVENTS'
          - "{seed}"
"""


@pytest.fixture
def swept(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with two complete runs of a sweep and a waiting run of another config."""
    write(project, "experiments/sweep.yaml", SWEEP)
    write(
        project,
        "experiments/other.yaml",
        "lr: high\ntasks: [{id: t, command: 'true'}]\n",
    )
    run_gitorch(project, "run", "experiments/sweep.yaml")
    run_gitorch(project, "ready")
    monkeypatch.chdir(project)
    return project


def test_runs_are_the_plain_values_of_list(swept: Path, tmp_path: Path) -> None:
    found = gitorch.runs()
    assert isinstance(found, list)
    assert found == gitorch_json(swept, "list")["runs"]
    assert [
        run["params"]["lr"]
        for run in gitorch.runs("status == 'COMPLETE'", path=str(swept))
    ] == [0.01, 0.1]
    with pytest.raises(UsageError, match="no name 'lrr'"):
        gitorch.runs("lrr == 1")
    with pytest.raises(NotFound, match="not in a git repository"):
        gitorch.runs(path=tmp_path)


def test_a_pandas_table(swept: Path) -> None:
    frame = gitorch.runs().to_pandas()
    assert list(frame.columns[:9]) == [
        *(
            "id",
            "name",
            "label",
            "status",
            "commit",
            "created",
            "started",
            "ended",
            "duration_s",
        )
    ]
    assert frame["params.lr"].tolist() == ["high", 0.01, 0.1]
    assert frame["params.optimizer.kind"].tolist()[1:] == ["adam", "adam"]
    assert frame["created"].dt.tz is not None
    complete = frame[frame["status"] == "COMPLETE"]
    assert complete["metrics.loss"].mean() == 1
    assert gitorch.runs("false").to_pandas().empty


def test_a_polars_table(swept: Path) -> None:
    frame = gitorch.runs().to_polars()
    assert frame["params.lr"].to_list() == ["high", "0.01", "0.1"], (
        "mixed types become text"
    )
    assert frame["params.optimizer.betas"].to_list() == [None, "[1, 2]", "[1, 2]"]
    assert frame["metrics.loss"].to_list() == [None, 1, 1]
    assert isinstance(frame["created"][0], datetime)
    assert (
        frame["created"][0].astimezone(UTC).isoformat().replace("+00:00", "Z")
        == gitorch.runs()[0]["created"]
    )
    assert frame["started"][0] is None
    complete = gitorch.runs("status == 'COMPLETE'").to_polars()
    assert complete["params.lr"].to_list() == [0.01, 0.1]
    assert (
        complete.columns
        == gitorch.runs("status == 'COMPLETE'").to_pandas().columns.tolist()
    )
    assert gitorch.runs("false").to_polars().height == 0


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            ProgramMissing, match=f"{name} is not installed"
        ) as raised:
            getattr(Runs(), f"to_{name}")()
        assert raised.value.hint == f"pip install {name}"


def test_importing_gitorch_imports_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import gitorch; "
        "print(sorted(set(sys.modules) - before))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    expected = {
        "gitorch",
        "gitorch.runner",
        "gitorch.runner.standin",
        "gitorch.runner.standin.gitorch",
    }
    assert set(eval(imported)) <= expected
