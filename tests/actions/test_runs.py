"""`gitorch.runs()` returns results for programs. The tests use the real pandas and Polars."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import gitorch
from gitorch.actions.runs import Runs
from gitorch.errors import NotFound, ProgramMissing, Refused, UsageError
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


def test_the_series_of_runs(swept: Path) -> None:
    found = gitorch.runs("status == 'COMPLETE'").series("loss")
    assert [(row["label"], row["step"], row["value"]) for row in found] == [
        ("sweep lr=0.01", None, 1),
        ("sweep lr=0.1", None, 1),
    ]
    assert list(found.to_pandas().columns) == [
        *("id", "label", "step", "value", "seconds")
    ]
    assert gitorch.runs().series("no such").to_polars().shape == (0, 5)
    assert gitorch.runs("lr == 9").series("loss") == []


def test_the_outputs_of_a_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'printf aä > {outputDir}/x.txt; ln -s x.txt {outputDir}/l'}]",
    )
    run_gitorch(project, "run", "experiments")
    monkeypatch.chdir(project)
    run = pickle.loads(pickle.dumps(gitorch.runs()[0]))
    assert json.loads(json.dumps(run)) == dict(run)
    assert list(run.outputs) == ["l", "x.txt"]
    file = run.outputs["x.txt"]
    assert file.read_bytes() == "aä".encode()
    assert file.read_text() == "aä"
    assert (file.size, len(file.sha256)) == (3, 64)
    with file.open() as opened:
        assert opened.read(1) == b"a"
    with pytest.raises(KeyError, match="no output 'y'"):
        run.outputs["y"]
    assert "y" not in run.outputs
    with pytest.raises(Refused, match="symbolic link"):
        run.outputs["l"].read_bytes()


def test_a_notebook_shows_an_escaped_table(swept: Path) -> None:
    shown = gitorch.runs()._repr_html_()
    assert "<th>params.lr</th>" in shown
    assert "params.seed" in shown
    assert "commit" not in shown
    found = gitorch.runs()
    found[0]["params"]["lr"] = "<script>\x1b[31m"
    many = Runs(found * 100)
    html = many._repr_html_()
    assert "<td>&lt;script&gt;[31m</td>" in html
    assert html.count("<tr>") == 101
    assert html.endswith("<p>… and 200 more</p>")
    assert Runs()._repr_html_().startswith("<table>")
