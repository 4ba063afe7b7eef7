"""Lists of many runs: selected by an expression, sorted, grouped; in a terminal, as JSON or CSV."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """
class Train:
    def __init__(self, config):
        self.config = config

    def run(self):
        lr, seed = self.config["lr"], self.config["seed"]
        return {"accuracy": 1 - lr * seed, "seed_used": seed}
"""
SWEEP = """
    lr: 0.1
    seed: 1
    optimizer: {kind: adam}
    gitorch: {matrix: {lr: [0.1, 0.01], seed: [1, 2, 3]}}
    tasks: [{id: train, method: Train}]
"""


@pytest.fixture
def swept(project: Path) -> Path:
    """Create six finished runs, two learning rates with three seeds each, and one WAITING run."""
    commit_files(project, {"Tasks.py": TASKS})
    write(project, "experiments/sweep.yaml", SWEEP)
    write(
        project,
        "experiments/later.yaml",
        "lr: none\ntasks: [{id: t, command: 'true'}]\n",
    )
    gitorch(project, "run", "experiments/sweep.yaml", "-j", "2")
    gitorch(project, "ready")
    return project


def points(root: Path, *options: str) -> list[tuple[object, object]]:
    """Return learning rate and seed of each run that `list` shows with these options."""
    return [
        (run["params"].get("lr"), run["params"].get("seed"))
        for run in gitorch_json(root, "list", *options)["runs"]
    ]


def column(table: str, name: str) -> list[str]:
    """Return the cells of a column of a printed table."""
    header, *lines = table.splitlines()
    start = header.index(name)
    if lines[-1].startswith("the same in all: "):
        lines.pop()
    return [line[start:].split("  ")[0].strip() for line in lines]


def test_list_selects_and_sorts(swept: Path) -> None:
    assert points(
        swept, "--where", "metrics.accuracy > 0.85 and params.lr == 0.1"
    ) == [(0.1, 1)]
    assert points(
        swept,
        "--where",
        "params.optimizer.kind == 'adam' and params.seed in [1, 3]",
        "--sort",
        "lr,-seed",
    ) == [(0.01, 3), (0.01, 1), (0.1, 3), (0.1, 1)]
    assert points(swept, "--sort", "-metrics.accuracy", "-n", "2") == [
        (0.01, 1),
        (0.01, 2),
    ]
    assert points(swept, "--sort", "accuracy")[-1] == ("none", None), (
        "a run without the metric comes last"
    )
    assert points(swept, "--sort=-lr", "--sort", "seed")[0] == ("none", None), (
        "text comes before numbers if the order is descending"
    )
    table = gitorch(
        swept, "list", "--where", "status == 'COMPLETE'", "--sort", "-accuracy"
    ).stdout
    assert column(table, "accuracy") == [
        "0.99",
        "0.98",
        "0.97",
        "0.9",
        "0.8",
        "0.7",
    ]
    assert "optimizer" not in table.splitlines()[0], (
        "a parameter that is the same in all runs has no column"
    )
    assert "optimizer" in gitorch(swept, "list", "--all-columns").stdout


def test_list_explains_an_error_in_an_expression(swept: Path) -> None:
    wrong = gitorch(swept, "list", "--where", "lrr == 0.1", code=2).stderr
    assert wrong == (
        "error: --where: there is no name 'lrr'\n  lrr == 0.1\n  ^^^\n"
        "hint: did you mean params.lr?\n"
    )
    assert (
        gitorch_json(swept, "list", "--where", "params.lr = 1", code=2)["error"][
            "kind"
        ]
        == "usage"
    )
    none = gitorch(swept, "list", "--where", "metrics.acuracy > 0")
    assert none.stdout == ""
    assert (
        "no run matches; no run has metrics.acuracy; did you mean metrics.accuracy?"
        in none.stderr
    )
    assert (
        "exclude each other"
        in gitorch(swept, "list", "--json", "--csv", code=2).stdout
    )
    assert gitorch(swept, "list", "--sort", "sed", code=2).stderr.endswith(
        "did you mean params.seed?\n"
    )


def test_list_groups_over_seeds(swept: Path) -> None:
    assert gitorch(swept, "list", "--group", "lr").stdout == (
        "lr    runs    accuracy mean  seed_used mean\n"
        "0.01  3       0.98           2\n"
        "0.1   3       0.8            2\n"
        "none  0 of 1\n"
    )
    table = gitorch(
        swept,
        "list",
        "--group",
        "lr",
        "--aggregate",
        "mean,std,min,max,count",
        "--sort",
        "-accuracy",
    ).stdout
    assert column(table, "lr") == ["0.01", "0.1", "none"]
    assert column(table, "accuracy std") == ["0.01", "0.1", ""]
    assert column(table, "accuracy min") == ["0.97", "0.7", ""]
    document = gitorch_json(
        swept, "list", "--group", "lr,name", "--where", "status == 'COMPLETE'"
    )
    assert len(document["runs"]) == 6
    assert [group["by"] for group in document["groups"]] == [
        {"params.lr": 0.01, "name": "sweep"},
        {"params.lr": 0.1, "name": "sweep"},
    ]
    assert document["groups"][1]["metrics"]["accuracy"] == {
        "mean": pytest.approx(0.8),
        "count": 3,
    }
    table = gitorch(swept, "list", "--group", "lr", "--csv").stdout
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["count"] for row in rows] == ["3", "3", "0"]
    assert float(rows[1]["metrics.accuracy.mean"]) == pytest.approx(0.8)
    assert (
        "there is no aggregate 'median'"
        in gitorch(
            swept, "list", "--group", "lr", "--aggregate", "median", code=2
        ).stderr
    )
    assert (
        "needs --group"
        in gitorch(swept, "list", "--aggregate", "mean", code=2).stderr
    )


def test_verbs_select_by_an_expression(swept: Path) -> None:
    held = gitorch_json(
        swept, "hold", "--where", "params.lr == 'none' or params.lr == 0.1"
    )
    assert ([change["to"] for change in held["changed"]], len(held["refused"])) == (
        ["HOLD"],
        3,
    )
    gitorch(swept, "set", "--priority", "3", "--where", "status == 'HOLD'")
    assert gitorch_json(swept, "show", "later")["run"]["priority"] == 3
    released = gitorch_json(
        swept, "release", "--where", "status == 'HOLD'", "--name", "l*"
    )
    assert released["changed"][0]["to"] == "WAITING"
    assert (
        "not both"
        in gitorch(swept, "hold", "later", "--where", "true", code=2).stderr
    )
    assert "which runs?" in gitorch(swept, "rerun", code=2).stderr
    assert (
        "^"
        in gitorch(swept, "kill", "--where", "status = 'WAITING'", code=2).stderr
    )
    assert (
        "no run matches"
        in gitorch(swept, "retry", "--where", "params.lr == 7").stderr
    )
    compared = gitorch_json(swept, "compare", "--where", "params.seed == 1")
    assert compared["config"]["changed"] == {"lr": [0.1, 0.01]}, "the oldest first"
    assert (
        "at least two runs, and 1 matches"
        in gitorch(
            swept, "compare", "--where", "params.lr == 'none'", code=2
        ).stderr
    )
    again = gitorch_json(swept, "rerun", "--queue", "--where", "params.seed == 1")
    assert [
        points(swept, "--where", f"id == '{run['rerun_of']}'")
        for run in again["runs"]
    ] == [
        [(0.1, 1)],
        [(0.01, 1)],
    ]
    killed = gitorch_json(swept, "kill", "--where", "status == 'WAITING'", "-y")
    assert len(killed["changed"]) == 3


def test_rerun_skips_and_counts_the_runs_that_cannot_be_repeated(
    swept: Path,
) -> None:
    later = gitorch_json(swept, "show", "later")["run"]["pin"]["commit"]
    clone = swept.parent / "clone"
    git(swept, "commit", "-q", "--amend", "-m", "another commit with the same tree")
    subprocess.run(
        ["git", "clone", "-q", "--no-local", str(swept), str(clone)], check=True
    )
    assert git(clone, "cat-file", "-t", later, check=False) == ""
    done = gitorch(clone, "rerun", "--where", "status == 'COMPLETE'")
    assert done.stdout == ""
    assert "6 runs not repeated" in done.stderr
    assert gitorch(clone, "rerun", "later", code=3).stdout == ""


def test_names_and_ids_are_completed(swept: Path) -> None:
    [run, *_] = [run["id"] for run in gitorch_json(swept, "list")["runs"]]
    for words, expected in (
        ("gitorch show sw", ["sweep"]),
        (f"gitorch hold {run[:5]}", [run]),
    ):
        assert completed(swept, words) == expected
    assert len(completed(swept, "gitorch compare ")) == 9
    assert completed(swept.parent, "gitorch show s") == []


def completed(root: Path, words: str) -> list[str]:
    """Return the shell's completions of the last word."""
    environment = {
        "_GITORCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": "2",
    }
    program = [str(Path(sys.executable).with_name("gitorch"))]
    result = subprocess.run(
        program,
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    return result.stdout.split()


def test_list_uses_the_pager_in_a_terminal(swept: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "GIT_PAGER": "sed 's/^/paged: /'", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "gitorch", "list"],
        cwd=swept,
        stdout=theirs,
        env=environment,
        stdin=subprocess.DEVNULL,
    ):
        os.close(theirs)
        output = b""
        try:
            while data := os.read(ours, 1 << 16):
                output += data
        except OSError:  # the terminal is closed
            pass
        os.close(ours)
    lines = output.decode().splitlines()
    assert len(lines) == 8
    assert all(re.match("paged: ", line) for line in lines)
