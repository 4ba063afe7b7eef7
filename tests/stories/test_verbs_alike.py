"""Verbs take the same selectors and options; `rerun -S` makes runs like another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git, gitorch, gitorch_json, write

SWEEP = """
    gitorch: {extends: base.yaml, matrix: {lr: [0.1, 0.3], seed: [1, 2]}}
    tasks: [{id: t, epochs: 1, command: "echo {lr} {seed} {epochs} {model.depth} >{outputDir}/o"}]
"""


@pytest.fixture
def swept(project: Path) -> Path:
    write(project, "experiments/base.yaml", "model: {depth: 3}\n")
    write(project, "experiments/net.yaml", SWEEP)
    gitorch(project, "ready")
    return project


def shown(root: Path, reference: str) -> dict[str, Any]:
    run: dict[str, Any] = gitorch_json(root, "show", reference)["run"]
    return run


def labels(root: Path) -> list[str]:
    return [run["label"] for run in gitorch_json(root, "list")["runs"]]


def test_the_same_but(swept: Path) -> None:
    gitorch(swept, "run", "net lr=0.1 seed=2")
    original = shown(swept, "net lr=0.1 seed=2")
    write(swept, "code.py", "1\n")
    git(swept, "add", "code.py")
    git(swept, "commit", "-qm", "other code")
    write(swept, "experiments/net.yaml", "not a config\n")
    done = gitorch(swept, "rerun", "net lr=0.1 seed=2", "-S", "lr=0.2")
    run = shown(swept, done.stdout.strip())
    assert run["label"] == "net lr=0.2 seed=2"
    assert run["status"] == "COMPLETE"
    assert run["pin"] == original["pin"]
    assert run["params"] == {**original["params"], "lr": 0.2}
    assert run["overrides"] == ["lr=0.2"]
    assert run["rerun_of"] == original["id"]
    assert gitorch(swept, "cat", run["id"], "o").stdout == "0.2 2 1 3\n"
    for name in ("config.yaml", "bases/1-base.yaml"):
        kept = [
            git(swept, "show", f"gitorch/results:runs/{id[:2]}/{id}/{name}")
            for id in (original["id"], run["id"])
        ]
        assert kept[0] == kept[1]
    git(swept, "checkout", "-q", original["pin"]["commit"])
    write(swept, "experiments/net.yaml", SWEEP)
    again = gitorch_json(swept, "ready", "-S", "lr=0.2")
    assert [queued["label"] for queued in again["queued"]] == ["net lr=0.2 seed=1"]
    assert [skipped["id"] for skipped in again["skipped"]] == [run["id"]]


def test_a_sweep_of_the_same_but(swept: Path) -> None:
    gitorch(swept, "kill", "--all", "--yes", "--name", "n*")
    gitorch(swept, "ready", "-S", "lr=0.1", "-S", "seed=1")
    words = (
        "-S",
        "tasks.t.epochs=2,3",
        "-S",
        "model.depth=range(4,6)",
        "--why",
        "more",
    )
    made = gitorch_json(swept, "rerun", "@", "--queue", *words)["runs"]
    assert len(made) == 4
    assert labels(swept)[0] == "net lr=0.1 seed=1 tasks.t.epochs=3 model.depth=5"
    run = shown(swept, "@")
    assert run["params"]["model"] == {"depth": 5}
    assert run["history"][0]["why"] == "more"
    gitorch(swept, "run", "@last")
    assert gitorch(swept, "cat", "@", "o").stdout == "0.1 1 3 5\n"
    before = labels(swept)
    for option, message in {
        "tasks=1": "'tasks' is not a parameter",
        "lr=": "'lr' is given no value",
        "lr=range(3,3)": "range(3,3) is empty",
        "~lr": "rerun sets parameters",
    }.items():
        assert message in gitorch(swept, "rerun", "@", "-S", option, code=2).stderr
    gitorch(swept, "rerun", "@", "-S", "lr=1", "--verify", code=2)
    assert labels(swept) == before
    noted = gitorch(swept, "rerun", "@", "--queue", "-S", "seeed=3").stderr
    assert "note: -S: 'seeed' is a new parameter, did you mean 'seed'?" in noted


def test_set_takes_selectors_and_a_reason(swept: Path) -> None:
    words = ("--where", "params.seed == 1", "--status", "waiting", "--why", "first")
    changed = gitorch_json(swept, "set", "--priority", "4", *words)["changed"]
    assert len(changed) == 2
    last = shown(swept, changed[0]["id"])["history"][-1]
    assert (last["from"], last["to"]) == ("WAITING", "WAITING")
    assert last["why"] == "priority 4; first"
    gitorch(swept, "set", "--priority", "1", "--all")
    for label in labels(swept):
        assert shown(swept, label)["priority"] == 1
    made = gitorch_json(
        swept, "rerun", "--queue", "--status", "WAITING", "--name", "ne?"
    )
    assert len(made["runs"]) == 4
    assert gitorch_json(swept, "adopt", "--name", "n*")["refused"] != []
    compared = gitorch(swept, "compare", "--name", "net", "--status", "waiting")
    assert "seed" in compared.stdout


@pytest.mark.parametrize(
    "verb",
    [
        *("hold", "release", "kill", "retry", "fail", "resubmit", "set", "adopt"),
        *("rerun", "invalidate", "verify"),
    ],
)
def test_every_verb_takes_selectors_a_reason_and_json(
    swept: Path, verb: str
) -> None:
    """They change nothing: no run has this name."""
    tip = git(swept, "rev-parse", "gitorch/results")
    words = ["--where", "lr > 0", "--status", "waiting", "--name", "no such name"]
    words += {"set": ["--priority", "1"], "rerun": ["--queue"]}.get(verb, [])
    words += ["--why", "to see"]
    document = gitorch_json(swept, verb, *words)
    lists = [value for value in document.values() if isinstance(value, list)]
    assert lists
    assert not any(lists)
    assert git(swept, "rev-parse", "gitorch/results") == tip
    assert gitorch(swept, verb, *words).stderr == "no run matches\n"


@pytest.mark.parametrize("verb", ["retry", "resubmit"])
def test_a_run_that_goes_on_is_executed_at_once(
    project: Path, tmp_path: Path, verb: str
) -> None:
    go = tmp_path / "go"
    for name in ("a", "b"):
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: 'echo {name}; test -f {go}'}}]\n",
        )
    gitorch(project, "run", "experiments", code=1)
    write(project, "experiments/c.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready", "experiments/c.yaml")
    if verb == "resubmit":
        gitorch(project, "fail", "a", "b")
    assert (
        "-j is for --run" in gitorch(project, verb, "a", "-j", "2", code=2).stderr
    )
    failed = gitorch_json(project, verb, "a", "--run", code=1)
    assert [change["to"] for change in failed["changed"]] == ["WAITING"]
    assert [run["status"] for run in failed["runs"]] == ["ERROR"]
    go.touch()
    if verb == "resubmit":
        gitorch(project, "fail", "a")
    done = gitorch(project, verb, "--name", "[ab]", "--run", "-j", "2")
    assert "2 runs: 2 COMPLETE" in done.stderr
    statuses = {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }
    assert statuses == {"a": "COMPLETE", "b": "COMPLETE", "c": "WAITING"}
