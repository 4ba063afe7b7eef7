"""A text that looks exactly like a Git LFS pointer is a text: the record says what is a pointer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitorch.git.store.pointers import Pointer
from tests.conftest import git, gitorch, gitorch_json, write

POINTER = Pointer("a" * 64, 12345).render().decode()


@pytest.fixture
def ended(project: Path) -> Path:
    """Run a task whose log, events and output look like a pointer, and one with a large log."""
    write(project, "pointer", POINTER)
    git(project, "add", "pointer")
    git(project, "commit", "-qm", "a pointer that no attribute makes an LFS file")
    copied = "cat pointer; cp pointer $GITORCH_EVENTS; cp pointer {outputDir}/small"
    large = "; head -c 2000000 /dev/zero > {outputDir}/large"
    for name, command in {
        "text": copied + large,
        "large-log": "seq 300000",
    }.items():
        task = {"id": "t", "command": command}
        write(project, f"experiments/{name}.yaml", json.dumps({"tasks": [task]}))
    gitorch(project, "run", "experiments")
    return project


def test_a_log_that_looks_like_a_pointer_is_a_log(ended: Path) -> None:
    assert gitorch(ended, "logs", "text").stdout == POINTER
    assert gitorch(ended, "logs", "large-log").stdout.endswith("\n300000\n")
    for name, kind in {"text": "git", "large-log": "lfs"}.items():
        [task] = gitorch_json(ended, "show", name)["run"]["tasks"]
        assert task["attempts"][-1]["stored"]["log.txt"] == kind
    tree = Path(gitorch(ended, "checkout-run", "text").stdout.strip())
    [log] = tree.glob("run-*/logs/t/1.txt")
    assert log.read_text() == POINTER
    [output] = tree.glob("run-*/outputs/small")
    assert output.read_text() == POINTER
    assert "lost" not in gitorch(ended, "doctor").stdout


def test_git_itself_treats_the_text_as_a_text(ended: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    git(ended, "worktree", "add", "-q", str(results), "gitorch/results")
    assert [path.read_text() for path in results.rglob("outputs/small")] == [
        POINTER
    ]
    rules = [path.read_text() for path in results.rglob(".gitattributes")]
    assert sorted(rule.split()[0] for rule in rules) == [
        "/log.txt",
        "/outputs/large",
    ]


def test_a_record_that_does_not_say_how_a_log_is_stored_is_read_as_before(
    ended: Path,
) -> None:
    run_id = gitorch_json(ended, "show", "large-log")["run"]["id"]
    path = f"runs/{run_id[:2]}/{run_id}/tasks/t/1/attempt.json"
    results = ended.parent / "results"
    git(ended, "worktree", "add", "-q", str(results), "gitorch/results")
    attempt = json.loads((results / path).read_text())
    del attempt["stored"]
    (results / path).write_text(json.dumps(attempt))
    git(results, "commit", "-qam", "as an earlier version wrote it")
    assert gitorch(ended, "logs", "large-log").stdout.endswith("\n300000\n")
