"""What a run ran with is stored once for all runs that had the same, and is never lost."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json

BRANCH = "gitorch/results"


@pytest.fixture
def done(project: Path) -> Path:
    """A project with two complete runs of one sweep."""
    config = """
gitorch: {matrix: {x: [1, 2]}}
tasks: [{id: one, command: 'python -V'}]
"""
    commit_files(project, {"experiments/a.yaml": config})
    gitorch(project, "run", "experiments")
    return project


def stored(project: Path) -> list[str]:
    """Return the paths of all environments on the branch."""
    listed = git(project, "ls-tree", "-r", "--name-only", BRANCH, "environments/")
    return listed.splitlines()


def shown(project: Path, reference: str) -> dict[str, Any]:
    record: dict[str, Any] = gitorch_json(project, "show", reference)["run"]
    return record


@contextmanager
def changed_by_git(project: Path) -> Iterator[Path]:
    """Yield a checkout of the branch, and commit what was changed in it."""
    checkout = project.parent / "checkout"
    git(project, "worktree", "add", "-q", str(checkout), BRANCH)
    yield checkout
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "by hand")
    git(project, "worktree", "remove", "--force", str(checkout))


def test_runs_with_the_same_environment_share_one_file(done: Path) -> None:
    [path] = stored(done)
    text = git(done, "cat-file", "blob", f"{BRANCH}:{path}") + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert path == f"environments/{digest[:2]}/{digest}.json"
    for run in gitorch_json(done, "list")["runs"]:
        record = shown(done, run["id"])
        assert record["environment"] == json.loads(text)
        assert record["environment_sha256"] == digest
        [attempt] = record["tasks"][0]["attempts"]
        assert attempt["environment_sha256"] == digest
        name = f"{BRANCH}:runs/{run['id'][:2]}/{run['id']}/record.json"
        kept = json.loads(git(done, "cat-file", "blob", name))
        assert kept["environment"] == {}
    assert gitorch(done, "doctor").stderr == "all is well\n"


def test_another_environment_is_a_file_of_its_own(done: Path) -> None:
    env = {"CUDA_VISIBLE_DEVICES": "3"}
    gitorch(done, "rerun", "@", env=env)
    assert len(stored(done)) == 2
    assert env.items() <= shown(done, "@")["environment"]["variables"].items()
    compared = gitorch_json(done, "compare", "@~1", "@")["environment"]
    assert compared["changed"] == {"variables.CUDA_VISIBLE_DEVICES": [None, "3"]}


def test_an_environment_that_is_removed_comes_back(done: Path) -> None:
    before = stored(done)
    with changed_by_git(done) as checkout:
        git(checkout, "rm", "-rq", "environments")
        (checkout / "notes.txt").write_text("mine")
    gitorch(done, "list")
    assert stored(done) == before
    assert git(done, "show", f"{BRANCH}:notes.txt") == "mine"


def as_other_text(path: Path) -> None:
    path.write_text('{"python": "9.9"}')


def as_huge_nesting(path: Path) -> None:
    path.write_text("[" * 100_000)


def as_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("damage", [as_other_text, as_huge_nesting, as_a_link])
def test_a_damaged_environment_is_left_out_and_reported(
    done: Path, damage: Callable[[Path], None]
) -> None:
    [path] = stored(done)
    with changed_by_git(done) as checkout:
        damage(checkout / path)
    document = gitorch_json(done, "show", "@")
    assert document["run"]["environment"] == {}
    assert document["unreadable"] == [path]
    assert path in gitorch(done, "show", "@").stderr
    health = gitorch_json(done, "doctor", code=1)["findings"]
    assert [finding["what"] for finding in health] == ["environment-unreadable"]
    gitorch(done, "rerun", "@")
    assert shown(done, "@")["environment"]["python"] != "9.9"
    assert gitorch(done, "doctor").stderr == "all is well\n"


def test_a_record_of_an_earlier_version_keeps_its_environment(done: Path) -> None:
    record = shown(done, "@")
    with changed_by_git(done) as checkout:
        path = checkout / f"runs/{record['id'][:2]}/{record['id']}/record.json"
        older = json.loads(path.read_text())
        del older["environment_sha256"]
        older["environment"] = {**record["environment"], "python": "3.8.1"}
        path.write_text(json.dumps(older))
    assert shown(done, "@")["environment"]["python"] == "3.8.1"
    compared = gitorch_json(done, "compare", "@~1", "@")["environment"]
    assert list(compared["changed"]) == ["python"]


def test_the_stored_document_is_what_the_schema_describes(done: Path) -> None:
    file = importlib.resources.files("gitorch.schemas") / "record.schema.json"
    schema = json.loads(file.read_text())["properties"]["environment"]
    [path] = stored(done)
    document = json.loads(git(done, "cat-file", "blob", f"{BRANCH}:{path}"))
    assert {"python", "packages", "cpus", "platform", "variables"} <= set(document)
    jsonschema.validate(document, {**schema, "additionalProperties": False})


@pytest.mark.parametrize(("later", "files"), [("Asia/Tokyo", 2), ("Asia/Seoul", 3)])
def test_the_union_of_two_branches_has_the_environments_of_both(
    done: Path, later: str, files: int
) -> None:
    before = git(done, "rev-parse", BRANCH)
    [lost] = gitorch(done, "rerun", "@", env={"TZ": "Asia/Tokyo"}).stdout.split()
    # Another program moves the branch back. What was on it comes back by a union.
    git(done, "update-ref", f"refs/heads/{BRANCH}", before)
    [run_id] = gitorch(done, "rerun", "@~1", env={"TZ": later}).stdout.split()
    assert len(stored(done)) == files
    assert shown(done, lost)["environment"]["timezone"] == "Asia/Tokyo"
    assert shown(done, run_id)["environment"]["timezone"] == later
    assert gitorch(done, "doctor").stderr == "all is well\n"
