"""The catalog: the index is at the branch's tip, whatever became of either."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitorch.errors import NotFound
from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.status import Status
from gitorch.storage.catalog import Catalog
from gitorch.storage.liveness import this_worker
from gitorch.storage.site import Site
from tests.conftest import git, gitorch, gitorch_json, write

CONFIG = """
    lr: 0.1
    tasks:
      - {id: a, command: 'true'}
      - {id: b, command: 'true'}
"""


@pytest.fixture
def done(project: Path) -> Path:
    """A project with one finished run, of two tasks."""
    write(project, "experiments/one.yaml", CONFIG)
    gitorch(project, "run", "experiments")
    return project


def catalog(root: Path) -> Catalog:
    return Catalog.of(Site.at(root))


def branch(root: Path) -> ResultsBranch:
    return ResultsBranch(Repository.discover(root))


def add(root: Path, *runs: str, **changed: Any) -> None:
    """More runs, each like the first but for what is `changed`."""
    results = branch(root)
    record = next(results.records())
    with results.changing() as change:
        for number, run in enumerate(runs):
            created = f"2030-01-01T00:00:00.{number:06}Z"
            change.put_record(
                {
                    **record,
                    "id": run,
                    "created": created,
                    "identity": run,
                    **changed,
                }
            )
        change.commit("more")


def ids(root: Path) -> list[str]:
    return [row.id for row in catalog(root).rows()]


def agrees(root: Path) -> bool:
    """The index says what the records say."""
    recorded = {
        record["id"]: (record["status"], record["params"])
        for record in branch(root).records()
    }
    return {
        row.id: (str(row.status), row.params) for row in catalog(root).rows()
    } == recorded


def test_a_finished_run_as_the_lists_show_it(done: Path) -> None:
    [row] = catalog(done).rows()
    [record] = branch(done).records()
    assert (
        json.loads(json.dumps(row.to_json()))
        == gitorch_json(done, "list")["runs"][0]
    )
    assert (row.id, row.name, row.label, row.status) == (
        record["id"],
        "one",
        "one",
        Status.COMPLETE,
    )
    assert (row.params, row.commit, row.duration_s) == (
        {"lr": 0.1},
        record["pin"]["commit"],
        record["duration_s"],
    )
    assert row.tasks == (), "told of runs that are not over only"
    assert catalog(done).by_identity() == {
        record["identity"]: (row.id, Status.COMPLETE, "one")
    }
    assert len(catalog(done).durations("one", "b")) == 1


def test_only_what_changed_is_read_again(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(done, "a" * 12, "b" * 12)
    assert len(ids(done)) == 3
    add(done, "c" * 12)
    read: list[str] = []
    real = ResultsBranch.records_of
    monkeypatch.setattr(
        ResultsBranch, "records", lambda *_: pytest.fail("all records are read")
    )
    monkeypatch.setattr(
        ResultsBranch,
        "records_of",
        lambda self, runs, at: read.extend(runs) or real(self, runs, at),
    )
    assert len(ids(done)) == 4
    assert read == ["c" * 12]


def test_a_run_that_was_removed_is_forgotten(done: Path) -> None:
    add(done, "a" * 12)
    assert len(ids(done)) == 2
    with branch(done).changing() as change:
        change.remove(RunPaths.of("a" * 12).directory)
        change.commit("one less")
    assert "a" * 12 not in ids(done)
    assert agrees(done)


@pytest.mark.parametrize(
    "happened",
    [
        lambda root, index: index.unlink(),
        lambda root, index: index.write_bytes(os.urandom(40_000)),
        lambda root, index: index.write_bytes(index.read_bytes()[:9000]),
        lambda root, index: git(
            root, "update-ref", "refs/heads/gitorch/results", "gitorch/results~1"
        ),
        lambda root, index: git(root, "pack-refs", "--all"),
        lambda root, index: git(root, "gc", "-q", "--prune=now"),
    ],
    ids=[
        "deleted",
        "damaged",
        "cut off",
        "the branch went back",
        "packed references",
        "collected",
    ],
)
def test_whatever_happened_to_it(done: Path, happened: Any) -> None:
    add(done, "a" * 12)
    add(done, "b" * 12)
    assert len(ids(done)) == 3
    happened(done, done / ".git" / "gitorch" / "index.db")
    assert agrees(done)
    assert gitorch_json(done, "show", "@")["run"]["id"] == ids(done)[0]


def test_another_history_in_place_of_the_one_it_was_told_of(done: Path) -> None:
    """The commit that it was told of is not in the clone any more."""
    add(done, "a" * 12)
    assert len(ids(done)) == 2
    told = git(done, "rev-parse", "gitorch/results")
    tree = git(done, "rev-parse", "gitorch/results~1^{tree}")
    git(
        done,
        "update-ref",
        "refs/heads/gitorch/results",
        git(done, "commit-tree", tree, "-m", "anew"),
    )
    git(done, "update-ref", "-d", "refs/gitorch/kept/results")
    git(done, "reflog", "expire", "--expire=all", "--all")
    for pack in (done / ".git" / "objects" / "pack").glob("*.keep"):
        pack.unlink()
    git(done, "gc", "-q", "--prune=now")
    assert git(done, "cat-file", "-t", told, check=False) == ""
    assert len(ids(done)) == 1
    assert agrees(done)


def test_no_branch_then_one_then_none(project: Path) -> None:
    assert ids(project) == []
    with pytest.raises(NotFound, match="no runs yet"):
        catalog(project).find(["@"])
    write(project, "experiments/one.yaml", CONFIG)
    gitorch(project, "run", "experiments")
    assert len(ids(project)) == 1
    git(project, "update-ref", "-d", "refs/heads/gitorch/results")
    git(project, "update-ref", "-d", "refs/gitorch/kept/results")
    assert ids(project) == []


def test_a_copy_of_the_repository_makes_its_own(done: Path, tmp_path: Path) -> None:
    ids(done)
    shutil.copytree(done, tmp_path / "copy", symlinks=True)
    (tmp_path / "copy/.git/gitorch/index.db").chmod(0o600)
    assert ids(tmp_path / "copy") == ids(done)
    assert Site.at(tmp_path / "copy").index.tip() == Site.at(done).results.tip()


def test_a_live_run_is_shown_as_the_queue_has_it(done: Path) -> None:
    write(done, "experiments/two.yaml", CONFIG.replace("0.1", "0.2"))
    gitorch(done, "ready")
    [row] = [row for row in catalog(done).rows() if row.status is Status.WAITING]
    assert [(task.id, task.needs) for task in row.tasks] == [
        ("a", ()),
        ("b", ("a",)),
    ]
    site = Site.at(done)
    site.queue.register(this_worker("w"))
    assert site.queue.claim("w", "token", now="2026-01-01T00:00:00Z")
    live, counts = catalog(done).standing()
    assert [(run.id, run.status) for run in live] == [(row.id, Status.RUNNING)]
    assert counts == {Status.COMPLETE: 1, Status.RUNNING: 1}
    assert catalog(done).by_identity([row.identity]) == {
        row.identity: (row.id, Status.RUNNING, "two")
    }


def test_why_a_failed_run_failed_is_known_without_its_record(project: Path) -> None:
    write(
        project,
        "experiments/two.yaml",
        CONFIG.replace("b, command: 'true'", "b, command: 'exit 3'"),
    )
    gitorch(project, "run", "experiments", code=1)
    [row] = catalog(project).rows()
    assert row.tasks[1].failure == "exit code 3"
    assert "b: exit code 3" in gitorch(project, "status").stdout


def test_the_newest_task_with_a_key_is_found(done: Path) -> None:
    [record] = branch(done).records()
    tasks = [{**record["tasks"][0], "cache": {"key": "k" * 64}}, record["tasks"][1]]
    later = [
        {
            **tasks[0],
            "attempts": [
                {**tasks[0]["attempts"][0], "ended": "2031-01-01T00:00:00Z"}
            ],
        },
        tasks[1],
    ]
    add(done, "a" * 12, tasks=later)
    add(done, "b" * 12, tasks=tasks)
    known = catalog(done)
    assert known.computed("k" * 64) == [("a" * 12, "a"), ("b" * 12, "a")]
    assert known.computed_like("one", "a") == ("a" * 12, "b" * 12)
    assert known.computed_like("one", "b") == ()


def test_what_came_from_the_cache_says_nothing_of_how_long_it_takes(
    done: Path,
) -> None:
    [record] = branch(done).records()
    reused = {
        **record["tasks"][0],
        "cache": {"key": "k" * 64, "from": {"run": record["id"], "task": "a"}},
    }
    add(done, "a" * 12, tasks=[reused, record["tasks"][1]])
    assert len(catalog(done).durations("one", "a")) == 1
    assert len(catalog(done).durations("one", "b")) == 2


def test_a_record_that_is_not_json_is_left_out(done: Path) -> None:
    before = [row.id for row in catalog(done).rows()]
    with branch(done).changing() as change:
        change.put(f"{RunPaths.of('a' * 12).directory}/record.json", b"{")
        change.commit("not JSON")
    assert [row.id for row in catalog(done).rows()] == before


def count(root: str) -> int:
    return len(Catalog.of(Site.at(Path(root))).rows())


def test_processes_that_bring_it_to_the_tip_at_once(done: Path) -> None:
    add(done, *(f"{number:012x}" for number in range(300)))
    (done / ".git" / "gitorch" / "index.db").unlink()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(count, [str(done)] * 8) == [301] * 8


KILLED = """
import os, signal, sys
from pathlib import Path
from gitorch.database.connection import Transaction
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

left = int(sys.argv[2])
real = Transaction.__call__

def call(self, name, /, **values):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, name, **values)

Transaction.__call__ = call
Catalog.of(Site.at(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("statements", [0, 1, 4, 30])
def test_killed_while_it_is_brought_to_the_tip(done: Path, statements: int) -> None:
    ids(done)
    add(done, *(f"{number:012x}" for number in range(20)))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(done), str(statements)], check=False
    )
    assert killed.returncode == -9
    assert len(ids(done)) == 21
    assert agrees(done)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_on_a_medium_that_cannot_be_written(done: Path) -> None:
    (done / ".git" / "gitorch" / "index.db").unlink()
    (done / ".git" / "gitorch" / "index.lock").unlink()
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    program = [sys.executable, "-m", "gitorch", "list", "--json"]
    listed = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(done), *program],
        cwd=done,
        capture_output=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)["runs"]) == 1
    assert not (done / ".git" / "gitorch" / "index.db").exists()
