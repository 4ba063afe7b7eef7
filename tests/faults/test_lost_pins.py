"""Pins and workspaces that another program deletes between two steps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitorch.git.pins import PINS
from tests.conftest import commit_files, git, gitorch, gitorch_json


@pytest.fixture
def root(project: Path) -> Path:
    """Return a project with a failed and a waiting run, at a commit that only the pin keeps."""
    failing = (
        "tasks: [{id: one, command: 'echo 1 > {outputDir}/kept'},"
        " {id: two, command: test -f absent}]\n"
    )
    commit_files(project, {"experiments/a.yaml": failing})
    git(project, "switch", "-q", "-c", "elsewhere")
    commit_files(project, {"code": "1\n"})
    gitorch(project, "run", "experiments/a.yaml", code=1)
    waiting = "tasks: [{id: t, command: cat code}]\n"
    commit_files(project, {"experiments/b.yaml": waiting})
    gitorch(project, "ready", "experiments/b.yaml")
    git(project, "switch", "-q", "main")
    git(project, "branch", "-q", "-D", "elsewhere")
    return project


def delete_pins(root: Path) -> None:
    for pin in git(root, "for-each-ref", "--format=%(refname)", PINS).split():
        git(root, "update-ref", "-d", pin)


def lose_workspace(root: Path) -> None:
    shutil.rmtree(root.with_name(f"{root.name}.gitorch"))
    shutil.rmtree(root / ".git/worktrees")


def collect_garbage(root: Path) -> None:
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "-q", "--prune=now")


def test_a_run_whose_pin_was_deleted_keeps_its_commit(root: Path) -> None:
    delete_pins(root)
    gitorch(root, "run")
    gitorch(root, "retry", "a")
    gitorch(root, "run", code=1)
    lose_workspace(root)
    collect_garbage(root)
    gitorch(root, "rerun", "b")
    assert gitorch(root, "logs", "b").stdout == "1\n"
    assert gitorch_json(root, "doctor")["findings"] == []


def test_verbs_name_a_commit_that_was_lost_with_its_pin(root: Path) -> None:
    delete_pins(root)
    lose_workspace(root)
    collect_garbage(root)
    for verb in ("retry", "rerun", "checkout-run", "revert"):
        refused = gitorch(root, verb, "a", code=3).stderr
        assert "is not in this clone" in refused
        assert "git fetch" in refused
    assert "left unchanged" in gitorch(root, "retry", "--all").stderr
    said = gitorch(root, "run", code=1).stderr
    assert "could not start: the run's commit" in said
    statuses = {
        row["name"]: row["status"] for row in gitorch_json(root, "list")["runs"]
    }
    assert statuses == {"a": "ERROR", "b": "ERROR"}
    gitorch(root, "status")
    gitorch(root, "collect")
    findings = gitorch_json(root, "doctor", code=1)["findings"]
    assert "commit-missing" in [finding["what"] for finding in findings]


def test_a_workspace_that_vanished_is_made_again(root: Path) -> None:
    lose_workspace(root)
    gitorch(root, "status")
    gitorch(root, "collect")
    gitorch(root, "checkout-run", "a")
    gitorch(root, "retry", "a")
    gitorch(root, "run", code=1)
    assert gitorch(root, "cat", "a", "kept").stdout == "1\n"
    assert gitorch_json(root, "show", "b")["run"]["status"] == "COMPLETE"
