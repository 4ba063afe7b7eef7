"""A sweep in which runs fail: what `run` says at its end, and what `status` shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import (
    commit_files,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)
from tests.terminal import on_terminal

PROGRAM = r"""
echo reading
case "$1 $2" in
    "1.0 adam")
        echo "Traceback (most recent call last):"
        echo "  File \"$PWD/train.py\", line 6, in <module>"
        echo "ValueError: loss is nan at step $(($3 * 17))"
        exit 1;;
    "0.1 it's \"odd\" \$HOME")
        echo "cannot open /nowhere/$3/$1/x.csv: No such file or directory"
        exit 1;;
esac
"""
CONFIG = """
lr: 1.0
width: 8
gitorch:
  matrix:
    lr: [1.0, 0.1]
    seed: [1, 2, 3, 4]
    optimizer: [adam, 'it''s "odd" $HOME']
tasks:
  - {id: train, command: "sh train.sh {lr} {optimizer} {seed}"}
"""


@pytest.fixture
def sweep(project: Path) -> Path:
    commit_files(project, {"train.sh": PROGRAM})
    write(project, "experiments/sweep.yaml", CONFIG)
    return project


@pytest.mark.parametrize("columns", [None, 80, 120])
def test_similar_failures_are_gathered_at_the_end(
    sweep: Path, columns: int | None
) -> None:
    gitorch(sweep, "ready")
    if columns is None:
        said = gitorch(sweep, "run", "-j", "2", code=1).stderr
    else:
        env = {"NO_COLOR": "1"}
        seen = on_terminal(sweep, "run", "-j", "2", columns=columns, env=env)
        assert seen.code == 1
        said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.text).replace("\r", "")
    assert said.count("  | reading\n") == 2, "one whole block for each cause"
    # On a terminal, the display counts those that failed in the same way.
    repeated = 6 if columns is None else 0
    assert len(re.findall(", as [0-9a-f]{12}$", said, re.MULTILINE)) == repeated
    end = said[said.index("\n4 runs failed") :]
    causes = [paragraph.splitlines() for paragraph in end.strip().split("\n\n")]
    # A missing file may be a matter of the config, so that `retry --config` is shown too.
    assert sorted(len(cause) for cause in causes) == [1, 9, 10]
    assert causes[-1] == ["16 runs: 8 COMPLETE, 8 ERROR"]
    nan, odd = sorted(causes[:2])
    if "No such file" in nan[0]:
        nan, odd = odd, nan
    assert re.sub(r"step \d+", "step N", nan[0]) == (
        "4 runs failed in train: exit code 1: "
        "ValueError: loss is nan at step N at train.py:6"
    )
    assert nan[1] == "  all with lr=1.0 optimizer=adam, and no other run"
    assert odd[1] == (
        """  all with lr=0.1 optimizer=it's "odd" $HOME, and no other run"""
    )
    for lines in (nan, odd):
        assert lines[5] == "  … and 1 more"
        if columns is not None:
            continue
        retried = changed_by(sweep, lines[7].removeprefix("  try again:  gitorch "))
        assert len(retried) == 4
        assert lines[2].split()[0] in retried
        logs = lines[6].removeprefix("  whole log:  gitorch ")
        assert gitorch(sweep, *shlex.split(logs)).stdout.startswith("reading\n")


def changed_by(root: Path, command: str) -> list[str]:
    """Run a `retry` that was printed, up to its `&&`. Return the runs that it changed."""
    words = shlex.split(command)
    document = gitorch_json(root, *words[: words.index("&&")])
    assert document["refused"] == []
    return [change["id"] for change in document["changed"]]


def test_json_has_the_gathered_failures(sweep: Path) -> None:
    document = gitorch_json(sweep, "run", "experiments", "-S", "seed=1,2", code=1)
    assert [run["status"] for run in document["runs"]].count("ERROR") == 4
    [nan, nowhere] = document["failures"]
    if nan["location"] is None:
        nan, nowhere = nowhere, nan
    assert nan["task"] == "train"
    assert nan["outcome"]["kind"] == "exit-code"
    assert nan["location"] == "train.py:6"
    assert len(nan["runs"]) == 2
    assert nan["common"] == {"lr": 1.0, "optimizer": "adam"}
    one = gitorch_json(sweep, "show", nan["runs"][0])["run"]
    assert one["tasks"][0]["attempts"][0]["location"] == "train.py:6"


def test_runs_that_no_expression_selects_are_named(project: Path) -> None:
    """`--where` does not compare lists, and here all runs fail."""
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {matrix: {tasks.t.n: [[1], [2], [3]], m: [1, 2]}}
        tasks: [{id: t, n: 0, command: "exit $(echo {n} | tr -dc 0-9)"}]
        """,
    )
    said = gitorch(project, "run", "experiments", code=1).stderr
    causes = said[said.index("\n\n2 runs failed") :].strip().split("\n\n")
    assert len(causes) == 4
    for number, cause in enumerate(causes[:-1], start=1):
        lines = cause.splitlines()
        assert lines[0] == f"2 runs failed in t: exit code {number}"
        assert lines[1] == f"  all with tasks.t.n=[{number}], and no other run"
        ids = [line.split()[0] for line in lines[2:4]]
        assert (
            lines[-3]
            == f"  try again:  gitorch retry {' '.join(ids)} && gitorch run"
        )


def test_one_run_is_not_told_twice(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: exit 3}]\n")
    said = gitorch(project, "run", "experiments", code=1).stderr
    assert said.count("exit code 3") == 1
    assert said.endswith("\n1 run: 1 ERROR\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_status_begins_with_what_runs_and_ends_with_the_totals(
    project: Path, tmp_path: Path, columns: int
) -> None:
    go = tmp_path / "go"
    write(
        project,
        "experiments/a.yaml",
        f"""
        gitorch: {{matrix: {{n: "range(125)"}}}}
        tasks: [{{id: t, command: "test {{n}} != 0; while test ! -f {go}; do sleep 0.1; done"}}]
        """,
    )
    gitorch(project, "ready")
    worker = started(project, "run", "-j", "2")

    def counts() -> dict[str, int]:
        found: dict[str, int] = gitorch_json(project, "status")["counts"]
        return found

    wait_for(lambda: (counts()["RUNNING"], counts()["ERROR"]) == (2, 1))
    seen = on_terminal(project, "status", columns=columns, env={"NO_COLOR": "1"})
    worker.terminate()
    worker.communicate()
    statuses = re.findall(r"^[0-9a-f]{12}  a n=\S+ +([A-Z]+)", seen.text, re.M)
    assert statuses == ["RUNNING"] * 2 + ["ERROR"] + ["WAITING"] * 5
    assert "… and 117 more waiting" in seen.lines
    assert seen.lines[-2] == "122 WAITING, 2 RUNNING, 1 ERROR"
    assert seen.lines[-1].startswith("0 of 125 done, 1 failed, 2 running")
    assert max(map(len, seen.lines)) <= columns


def test_status_shows_what_needs_a_look_and_counts_the_rest(sweep: Path) -> None:
    gitorch(sweep, "run", "experiments", code=1)
    gitorch(sweep, "ready", "-S", "width=9")
    gitorch(sweep, "ready", "-S", "width=10", "--hold")
    shown = [gitorch(sweep, "status").stdout]
    for columns in (80, 120):
        env = {"NO_COLOR": "1"}
        seen = on_terminal(sweep, "status", columns=columns, env=env)
        shown.append(seen.text)
    for text in shown:
        lines = text.splitlines()
        statuses = re.findall(r" (ERROR|HOLD|WAITING) ", "\n".join(lines[1:-1]))
        assert statuses == ["ERROR"] * 6 + ["HOLD"] * 5 + ["WAITING"] * 5
        assert [line for line in lines if line.startswith("…")] == [
            "… and 1 more failed in the same way",
            "… and 1 more failed in the same way",
            "… and 11 more held",
            "… and 11 more waiting",
        ]
        assert lines[-2] == "16 WAITING, 8 COMPLETE, 8 ERROR, 16 HOLD"
        assert re.fullmatch(r"0 of 16 done, about \d+ s of work", lines[-1])
    assert len(gitorch_json(sweep, "status")["runs"]) == 40
