"""What a task writes does not fill the memory of the worker, and what is left out is noted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, gitorch_json, peak_of_a_worker, write

MIB = 1 << 20
# In MiB. A worker needs about 50, and each of these tasks writes at least 100.
MOST = 110
COMMANDS = {
    "many outputs": "for n in $(seq 100); do head -c 1000000 /dev/urandom > {outputDir}/$n; done",
    "a long event": "head -c 200M /dev/zero > $GITORCH_EVENTS",
    "a log in one line": "head -c 200M /dev/zero",
    "a large result": "head -c 200M /dev/zero > $(dirname $GITORCH_EVENTS)/result.json",
    "large metrics": "head -c 200M /dev/zero > {outputDir}/metrics.json",
    "large diffs": "for n in $(seq 30); do head -c 4M /dev/urandom > tracked$n; done",
}
NOTES = {
    "many outputs": (),
    "a long event": ("1 of its events are not read: a line has more than 1.0 MiB",),
    "a log in one line": (),
    "a large result": (
        "its result is not read: it has 200.0 MiB, and at most 1.0 MiB are read",
    ),
    "large metrics": (
        "metrics.json is not read: it has 200.0 MiB, and at most 4.0 MiB are read",
    ),
}


@pytest.mark.alone
@pytest.mark.parametrize("what", COMMANDS)
def test_the_memory_of_the_worker_is_bounded(project: Path, what: str) -> None:
    if what == "large diffs":
        for number in range(1, 31):
            write(project, f"tracked{number}", "small\n")
        commit_all(project)
    task = {"id": "t", "command": COMMANDS[what]}
    write(project, "experiments/a.yaml", json.dumps({"tasks": [task]}))
    gitorch(project, "ready")
    assert peak_of_a_worker(project) * 1024 / MIB < MOST
    [attempt] = gitorch_json(project, "show", "a")["run"]["tasks"][0]["attempts"]
    if what == "large diffs":
        assert len(attempt["notes"]) == 21
        assert (
            "tracked13 was changed, and is too large for a diff" in attempt["notes"]
        )
    else:
        assert tuple(attempt["notes"]) == NOTES[what]


def commit_all(project: Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "tracked files")


def test_a_run_has_at_most_a_thousand_metrics(project: Path) -> None:
    report = 'seq 1500 | sed \'s/.*/{"metric": "NAME&", "value": &}/\' >> $GITORCH_EVENTS'
    tasks = [
        {"id": name, "command": report.replace("NAME", name)} for name in ("a", "b")
    ]
    write(project, "experiments/a.yaml", json.dumps({"tasks": tasks}))
    ended = gitorch(project, "run", "experiments").stderr
    assert "note: 500 values of metrics are left out" in ended
    of_run = (
        "1000 metrics left out: the tasks of a run may have at most 1000 together"
    )
    assert ended.count(f"note: {of_run}\n") == 1
    assert of_run in gitorch(project, "show", "a").stdout
    assert len(gitorch_json(project, "show", "a")["run"]["metrics"]) == 1000


@pytest.mark.parametrize("levels", [90, 200, 100_000])
def test_a_result_that_is_nested_too_deeply_is_noted(
    project: Path, levels: int
) -> None:
    nested = "[" * levels + "]" * levels
    write(project, "nested.json", nested)
    commit_all(project)
    command = "cp nested.json $(dirname $GITORCH_EVENTS)/result.json"
    task = {"id": "t", "command": command}
    write(project, "experiments/a.yaml", json.dumps({"tasks": [task]}))
    ended = gitorch(project, "run", "experiments").stderr
    note = "note: its result is not read: it is nested more than 100 levels deep"
    assert (note in ended) == (levels > 100)
    gitorch(project, "list")
