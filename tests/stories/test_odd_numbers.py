"""NaN, infinities and huge integers at every place where numbers come in."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from gitorch.model.branch_layout import RunPaths
from tests.conftest import commit_files, gitorch, gitorch_json, write

TASKS = """
import math
import gitorch


class Odd:
    def __init__(self, config):
        pass

    def run(self):
        for value in (math.nan, math.inf, -math.inf, 10**400, -(10**5000), 10**30):
            gitorch.progress(value, value)
            gitorch.metric(f"m{value!r:.9}" if value != -(10**5000) else "huge", value, step=value)
        return {
            "nan": math.nan,
            "inf": -math.inf,
            "huge": 10**5000,
            "large": 10**30,
            "inner": [math.nan],
            "flag": True,
            "fine": 0.5,
        }
"""
NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1" + "0" * 400,
    "-0.0",
    "1" + "0" * 4999,
)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=refuse)


def test_numbers_of_tasks_become_finite_or_null_and_stay_visible(
    project: Path,
) -> None:
    commit_files(project, {"Tasks.py": TASKS})
    lines = []
    for index, number in enumerate(NUMBERS):
        lines += [
            f'{{"metric": "e{index}", "value": {number}, "step": {number}}}',
            f'{{"progress": [{number}, {number}]}}',
            f'{{"progress": [1, {number}]}}',
        ]
    (project / "events").write_text("\n".join(lines) + "\n")
    values = [f'"f{number}": {text}' for number, text in enumerate(NUMBERS[:-1])]
    (project / "metrics").write_text("{" + ", ".join(values) + ', "t": true}')
    append = f"cat {project}/events >> $GITORCH_EVENTS"
    command = f"{append}; cp {project}/metrics {{outputDir}}/metrics.json"
    tasks = [{"id": "odd", "method": "Odd"}, {"id": "events", "command": command}]
    write(project, "experiments/a.yaml", json.dumps({"tasks": tasks}))
    gitorch(project, "run", "experiments")
    run = strict(gitorch(project, "show", "a", "--json").stdout)["run"]
    metrics = run["metrics"]
    for name in (
        "nan",
        "inf",
        "huge",
        "e0",
        "e1",
        "e2",
        "e3",
        "e4",
        "f0",
        "f3",
        "f4",
    ):
        assert metrics[name] is None, name
    assert (metrics["fine"], metrics["large"], metrics["e5"]) == (0.5, 1e30, 0.0)
    assert "flag" not in metrics
    assert "t" not in metrics
    assert run["tasks"][0]["result"]["inner"] == [None]
    shown = gitorch(project, "show", "a").stdout
    assert "nan" in shown
    assert "null" in shown
    for words in (
        ("list", "--json"),
        ("status", "--json"),
        ("list", "--json", "--group", "status", "--aggregate", "mean,std,min,max"),
        ("compare", "a", "a", "--json"),
        ("list", "--json", "--sort", "metrics.nan,-metrics.large"),
        (
            "list",
            "--json",
            "--where",
            "metrics.large > 1e400 or metrics.fine < 1" + "0" * 4999,
        ),
    ):
        result = gitorch(project, *words, code=None)
        assert result.returncode in (0, 2), result.stderr
        strict(result.stdout)


@pytest.mark.parametrize(
    "progress",
    [
        "[Infinity, 1]",
        "[1, Infinity]",
        "[1e-320, 1e308]",
        "[1, 1e400]",
        "[true, 2]",
        "[-1, 5]",
        f"[1, {10**400}]",
    ],
)
def test_odd_progress_does_not_break_the_status_of_others(
    project: Path, progress: str
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    [run] = gitorch_json(project, "status")["runs"]
    with (
        closing(sqlite3.connect(project / ".git/gitorch/queue.db")) as queue,
        queue,
    ):
        queue.execute(
            "UPDATE tasks SET status = 'RUNNING', attempts = 1, token = 't', worker = 'w', "
            "started = '2026-01-01T00:00:00.000Z'"
        )
    log = project.parent / f"project.gitorch/{run['id']}/log/t/1"
    log.mkdir(parents=True)
    (log / "events.jsonl").write_text(f'{{"progress": {progress}}}\n')
    strict(gitorch(project, "status", "--json").stdout)
    gitorch(project, "status")


@pytest.mark.parametrize(
    "number",
    ["9" * 20, "-" + "9" * 20, "9" * 5000, "1e3", "nan", "inf", "1.5", "1000001"],
)
def test_an_option_with_a_number_out_of_its_bounds_is_refused(
    project: Path, number: str
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready", f"--priority={number}", code=2)
    gitorch(project, "ready")
    for words in (
        ("set", f"--priority={number}", "a"),
        ("run", "-j", number.lstrip("-")),
        ("show", f"@~{number}"),
        ("collect", "--older-than", f"{number}d"),
    ):
        result = gitorch(project, *words, code=None)
        assert result.returncode in (0, 2, 3), f"{words}: {result.stderr}"
    overridden = gitorch(
        project, "ready", "-S", f"x={number}", "--dry-run", code=None
    )
    assert overridden.returncode in (0, 1), overridden.stderr
    for name in (
        "jobs",
        "grace",
        "largeFile",
        "sweepLimit",
        "errorRetention",
        "worktreesAhead",
        "lostLimit",
    ):
        result = gitorch(
            project,
            "status",
            env={
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"gitorch.{name}",
                "GIT_CONFIG_VALUE_0": number,
            },
            code=None,
        )
        assert result.returncode in (0, 2), f"{name}: {result.stderr}"


@pytest.mark.parametrize("key", ["priority", "timeout", "retries", "resources"])
def test_a_config_with_a_number_out_of_its_bounds_is_refused(
    project: Path, key: str
) -> None:
    for number in (
        ".nan",
        ".inf",
        "1e400",
        "9" * 400,
        "-1",
        "true",
        "1" + "0" * 30,
        "'" + "9" * 300 + "d'",
    ):
        if (key, number) == ("priority", "-1"):
            continue
        value = f"{{cpus: {number}}}" if key == "resources" else number
        write(
            project,
            "experiments/a.yaml",
            f"gitorch: {{{key}: {value}}}\ntasks: [{{id: t, command: 'true'}}]\n",
        )
        refused = gitorch(project, "check", code=None)
        assert refused.returncode == 1, (
            f"{key}: {number}: {refused.stdout}{refused.stderr}"
        )
        assert "a bug" not in refused.stderr


def test_a_priority_that_was_stored_before_there_were_bounds_harms_nothing(
    project: Path,
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    write(
        project, "experiments/b.yaml", "b: 1\ntasks: [{id: t, command: 'true'}]\n"
    )
    gitorch(project, "ready")
    results = ResultsBranch(Repository.discover(project))
    run_id = gitorch_json(project, "show", "a")["run"]["id"]
    with results.changing() as edit:
        record = edit.record(run_id)
        assert record is not None
        edit.put(
            RunPaths.of(run_id).record,
            json.dumps({**record, "priority": 10**20}).encode(),
        )
        edit.commit("a priority of an earlier version")
    gitorch(project, "status")
    gitorch(project, "set", "--priority", "3", "b")
    gitorch(project, "run")
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "COMPLETE"
    }
