"""The catalog reflects the tip of the results branch, even if the index was damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
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

RESULTS = "refs/heads/gitorch/results"
KEPT_RESULTS = "refs/gitorch/kept/results"
CONFIG = """
    lr: 0.1
    tasks:
      - {id: a, command: 'true'}
      - {id: b, command: 'true'}
"""

CACHE = {
    "key": "k" * 64,
    "code": "c" * 64,
    "before": "b" * 64,
    "produced": "p" * 64,
}


@pytest.fixture
def done(project: Path) -> Path:
    """Create a project with one finished run of two tasks."""
    write(project, "experiments/one.yaml", CONFIG)
    gitorch(project, "run", "experiments")
    return project


def catalog(root: Path) -> Catalog:
    return Catalog.of(Site.at(root))


def branch(root: Path) -> ResultsBranch:
    return ResultsBranch(Repository.discover(root))


def index_path(root: Path) -> Path:
    return root / ".git" / "gitorch" / "index.db"


def add_records(root: Path, *run_ids: str, **changed: Any) -> None:
    """Commit copies of the original record that have other ids and the `changed` values."""
    results = branch(root)
    [original] = [
        record for record in results.records() if record["identity"] != record["id"]
    ]
    with results.changing() as change:
        for number, run_id in enumerate(run_ids):
            record = {**original, "id": run_id, "identity": run_id}
            record["created"] = f"2030-01-01T00:00:00.{number:06}Z"
            record.update(changed)
            change.put_record(record)
        change.commit("more")


def listed_ids(root: Path) -> list[str]:
    return [row.id for row in catalog(root).rows()]


def assert_rows_match_records(root: Path) -> None:
    recorded = {}
    for record in branch(root).records():
        recorded[record["id"]] = (record["status"], record["params"])
    listed = {}
    for row in catalog(root).rows():
        listed[row.id] = (str(row.status), row.params)
    assert listed == recorded


def test_the_row_of_a_finished_run(done: Path) -> None:
    [row] = catalog(done).rows()
    [record] = branch(done).records()
    [listed] = gitorch_json(done, "list")["runs"]
    assert json.loads(json.dumps(row.to_json())) == listed
    assert row.id == record["id"]
    assert row.name == "one"
    assert row.label == "one"
    assert row.status == Status.COMPLETE
    assert row.params == {"lr": 0.1}
    assert row.commit == record["pin"]["commit"]
    assert row.duration_s == record["duration_s"]
    assert row.tasks == (), "only the row of a live run has tasks"
    assert catalog(done).by_identity() == {
        record["identity"]: (row.id, Status.COMPLETE, "one")
    }
    assert len(catalog(done).durations("true", 9)) == 2


def test_only_changed_records_are_read_again(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_records(done, "a" * 12, "b" * 12)
    assert len(listed_ids(done)) == 3
    add_records(done, "c" * 12)
    read_ids: list[str] = []
    original = ResultsBranch.record_files

    def record_files(
        results: ResultsBranch,
        run_ids: Sequence[str] | None = None,
        commit: str | None = None,
    ) -> Iterator[tuple[str, bytes | None]]:
        assert run_ids is not None, "all records are read"
        read_ids.extend(run_ids)
        return original(results, run_ids, commit)

    monkeypatch.setattr(ResultsBranch, "record_files", record_files)
    assert len(listed_ids(done)) == 4
    assert read_ids == ["c" * 12]


def test_a_removed_run_leaves_the_index(done: Path) -> None:
    add_records(done, "a" * 12)
    assert len(listed_ids(done)) == 2
    with branch(done).changing() as change:
        change.remove(RunPaths.of("a" * 12).directory)
        change.commit("one less")
    assert "a" * 12 not in listed_ids(done)
    assert_rows_match_records(done)


def delete_index(root: Path) -> None:
    index_path(root).unlink()


def overwrite_index(root: Path) -> None:
    index_path(root).write_bytes(os.urandom(40_000))


def truncate_index(root: Path) -> None:
    data = index_path(root).read_bytes()
    index_path(root).write_bytes(data[:9000])


def set_branch_back(root: Path) -> None:
    git(root, "update-ref", RESULTS, f"{RESULTS}~1")


def pack_references(root: Path) -> None:
    git(root, "pack-refs", "--all")


def collect_garbage(root: Path) -> None:
    git(root, "gc", "-q", "--prune=now")


@pytest.mark.parametrize(
    "change",
    [
        delete_index,
        overwrite_index,
        truncate_index,
        set_branch_back,
        pack_references,
        collect_garbage,
    ],
)
def test_rows_are_correct_after_a_change_from_outside(
    done: Path, change: Callable[[Path], None]
) -> None:
    add_records(done, "a" * 12)
    add_records(done, "b" * 12)
    assert len(listed_ids(done)) == 3
    change(done)
    assert len(listed_ids(done)) == 3
    assert_rows_match_records(done)
    assert gitorch_json(done, "show", "@")["run"]["id"] == listed_ids(done)[0]


def test_the_index_is_rebuilt_if_its_commit_no_longer_exists(done: Path) -> None:
    """Give the branch another history, and prune the commit that the index was built from."""
    add_records(done, "a" * 12)
    assert len(listed_ids(done)) == 2
    indexed_tip = git(done, "rev-parse", RESULTS)
    tree = git(done, "rev-parse", f"{RESULTS}~1^{{tree}}")
    new_tip = git(done, "commit-tree", tree, "-m", "anew")
    git(done, "update-ref", RESULTS, new_tip)
    git(done, "update-ref", "-d", KEPT_RESULTS)
    git(done, "reflog", "expire", "--expire=all", "--all")
    for pack in (done / ".git" / "objects" / "pack").glob("*.keep"):
        pack.unlink()
    git(done, "gc", "-q", "--prune=now")
    assert git(done, "cat-file", "-t", indexed_tip, check=False) == ""
    assert len(listed_ids(done)) == 1
    assert_rows_match_records(done)


def test_the_index_follows_the_creation_and_deletion_of_the_branch(
    project: Path,
) -> None:
    assert listed_ids(project) == []
    with pytest.raises(NotFound, match="no runs yet"):
        catalog(project).find(["@"])
    write(project, "experiments/one.yaml", CONFIG)
    gitorch(project, "run", "experiments")
    assert len(listed_ids(project)) == 1
    git(project, "update-ref", "-d", RESULTS)
    git(project, "update-ref", "-d", KEPT_RESULTS)
    assert len(listed_ids(project)) == 1, "the index knows the commit"
    assert git(project, "rev-parse", RESULTS) == git(
        project, "rev-parse", KEPT_RESULTS
    )


def test_a_copied_repository_has_a_current_index(
    done: Path, tmp_path: Path
) -> None:
    listed_ids(done)
    copy = tmp_path / "copy"
    shutil.copytree(done, copy, symlinks=True)
    index_path(copy).chmod(0o600)
    assert listed_ids(copy) == listed_ids(done)
    assert Site.at(copy).index.tip() == Site.at(done).results.tip()


def test_a_live_run_has_its_status_in_the_queue(done: Path) -> None:
    write(done, "experiments/two.yaml", CONFIG.replace("0.1", "0.2"))
    gitorch(done, "ready")
    [row] = [row for row in catalog(done).rows() if row.status is Status.WAITING]
    assert row.needs == {"a": (), "b": ("a",)}
    assert [task.id for task in row.tasks] == ["a", "b"]
    site = Site.at(done)
    site.queue.register(this_worker("w"))
    assert site.queue.claim("w", "token", now="2026-01-01T00:00:00Z")
    [run] = catalog(done).standing()[0]
    assert run.status is Status.WAITING, "it is claimed, and not started"
    log = site.directory(row.id).attempt("a", 1).log
    log.parent.mkdir(parents=True)
    log.touch()
    live, counts = catalog(done).standing()
    assert [(run.id, run.status) for run in live] == [(row.id, Status.RUNNING)]
    assert counts == {Status.COMPLETE: 1, Status.RUNNING: 1}
    assert catalog(done).by_identity([row.identity]) == {
        row.identity: (row.id, Status.RUNNING, "two")
    }


def test_the_row_of_a_failed_run_says_why_the_run_failed(project: Path) -> None:
    text = CONFIG.replace("b, command: 'true'", "b, command: 'exit 3'")
    write(project, "experiments/two.yaml", text)
    gitorch(project, "run", "experiments", code=1)
    [row] = catalog(project).rows()
    assert row.tasks[1].failure == "exit code 3"
    assert "b: exit code 3" in gitorch(project, "status").stdout


def test_cached_tasks_are_found_newest_first(done: Path) -> None:
    """The order is that of the runs, even if a wrong clock says when a task ended."""
    [record] = branch(done).records()
    task_a, task_b = record["tasks"]
    [attempt] = task_a["attempts"]
    newer = {**task_a, "cache": CACHE}
    in_future = {**attempt, "ended": "2031-01-01T00:00:00Z"}
    older = {**newer, "attempts": [in_future]}
    add_records(
        done,
        "a" * 12,
        tasks=[newer, task_b],
        created="2025-01-01T00:00:00Z",
        sorted_at="2031-01-02T00:00:00Z",
    )
    add_records(done, "b" * 12, tasks=[older, task_b])
    runs = catalog(done)
    assert runs.computed("k" * 64) == [("a" * 12, "a"), ("b" * 12, "a")]
    assert runs.computed_like("one", "a") == ("a" * 12, "b" * 12)
    assert runs.computed_like("one", "b") == ()


def test_a_reused_task_has_no_duration(done: Path) -> None:
    [record] = branch(done).records()
    task_a, task_b = record["tasks"]
    origin = {"run": record["id"], "task": "a"}
    reused = {**task_a, "cache": {**CACHE, "from": origin}}
    add_records(done, "a" * 12, tasks=[reused, task_b])
    assert len(catalog(done).durations("true", 9)) == 3


def test_a_record_that_is_not_json_is_left_out(done: Path) -> None:
    before = listed_ids(done)
    with branch(done).changing() as change:
        change.put(f"{RunPaths.of('a' * 12).directory}/record.json", b"{")
        change.commit("not JSON")
    assert listed_ids(done) == before


def numbered_ids(count: int) -> list[str]:
    return [f"{number:012x}" for number in range(count)]


def count_rows(root: Path) -> int:
    return len(catalog(root).rows())


def test_several_processes_build_the_index_at_the_same_time(done: Path) -> None:
    add_records(done, *numbered_ids(300))
    delete_index(done)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(count_rows, [done] * 8) == [301] * 8


# Updates the index of `argv[1]`, and kills itself after `argv[2]` SQL statements.
KILLED_UPDATE = """
import os, signal, sys
from pathlib import Path
from gitorch.database.connection import Transaction
from gitorch.storage.catalog import Catalog
from gitorch.storage.site import Site

statements_left = int(sys.argv[2])
original = Transaction.__call__

def call(self, name, /, **values):
    global statements_left
    statements_left -= 1
    if statements_left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, name, **values)

Transaction.__call__ = call
Catalog.of(Site.at(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("statements", [0, 1, 4, 30])
def test_the_index_is_correct_after_a_killed_update(
    done: Path, statements: int
) -> None:
    listed_ids(done)
    add_records(done, *numbered_ids(20))
    command = [sys.executable, "-c", KILLED_UPDATE, str(done), str(statements)]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(listed_ids(done)) == 21
    assert_rows_match_records(done)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_runs_are_listed_on_a_read_only_file_system(done: Path) -> None:
    delete_index(done)
    index_path(done).with_name("index.lock").unlink()
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    isolated = ["unshare", "--mount", "sh", "-c", mount, str(done)]
    program = [sys.executable, "-m", "gitorch", "list", "--json"]
    listed = subprocess.run(
        [*isolated, *program], cwd=done, capture_output=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)["runs"]) == 1
    assert not index_path(done).exists()


# -- the order, if clocks disagree


def test_a_run_from_the_future_is_the_latest_only_until_the_next_one(
    done: Path,
) -> None:
    add_records(done, "aaaaaaaaaaaa", created="2999-01-01T00:00:00.000000Z")
    assert listed_ids(done)[0] == "aaaaaaaaaaaa"
    write(done, "experiments/one.yaml", CONFIG.replace("0.1", "[0.2, 0.3]"))
    gitorch(done, "ready", "--again")
    gitorch(done, "rerun", "--queue", "@")
    ordered = listed_ids(done)
    assert ordered.index("aaaaaaaaaaaa") == 2
    assert catalog(done).find(["@", "one"]) == ordered[:1]
    record = gitorch_json(done, "show", "@")["run"]
    assert record["created"] < "2999"
    assert record["sorted_at"] > "2999"


def test_a_run_that_was_fetched_from_the_future_is_followed(done: Path) -> None:
    """The queue remembers the latest time, and the index is not asked."""
    add_records(
        done, "aaaaaaaaaaaa", clone="other", created="2999-01-01T00:00:00.000000Z"
    )
    gitorch(done, "hold", "--all", code=None)  # it brings the queue to the branch
    index = index_path(done).read_bytes()
    gitorch(done, "ready", "--again")
    assert index_path(done).read_bytes() == index
    assert "aaaaaaaaaaaa" in listed_ids(done)[1:]
    assert gitorch_json(done, "show", "@")["run"]["sorted_at"] > "2999"


def test_all_clones_agree_on_the_order(done: Path, tmp_path: Path) -> None:
    add_records(done, "aaaaaaaaaaaa", created="2999-01-01T00:00:00.000000Z")
    gitorch(done, "rerun", "--queue", "one")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(done), str(clone))
    git(clone, "fetch", "-q", "origin", f"{RESULTS}:{RESULTS}")
    assert listed_ids(clone) == listed_ids(done)


@pytest.mark.parametrize("created", ["9999-12-31T23:59:59.999999Z", "soon", ""])
def test_a_time_that_nothing_can_follow_keeps_no_run_from_being_made(
    done: Path, created: str
) -> None:
    add_records(done, "aaaaaaaaaaaa", created=created)
    gitorch(done, "rerun", "--queue", catalog(done).rows()[-1].id)


def test_an_ordinary_run_has_no_other_time_than_its_creation(done: Path) -> None:
    gitorch(done, "rerun", "--queue", "@")
    assert "sorted_at" not in gitorch_json(done, "show", "@")["run"]


def test_runs_are_selected_by_what_they_repeat(done: Path) -> None:
    original = listed_ids(done)[0]
    gitorch(done, "rerun", "--queue", "@")
    [rerun] = gitorch_json(done, "list", "--where", "rerun_of != null")["runs"]
    assert rerun["rerun_of"] == original
    selected = gitorch_json(done, "list", "--where", f"rerun_of == '{original}'")
    assert selected["runs"] == [rerun]
    [other] = gitorch_json(done, "list", "--where", "rerun_of == None")["runs"]
    assert other["id"] == original
