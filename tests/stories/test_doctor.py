"""Every kind of damage that `doctor` detects.

Each test causes the damage by hand. `doctor` has to report it and to repair it where that is
possible. Afterwards the runs continue.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from gitorch.errors import UPGRADE
from gitorch.git.repository import Repository
from gitorch.git.store.branch_state import KEPT
from gitorch.git.store.lock import locked
from gitorch.git.store.results import ResultsBranch
from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

TWO_HOURS_AGO = time.time() - 7200


@pytest.fixture
def root(project: Path) -> Path:
    """Return a project with a run in ERROR, a COMPLETE run and a WAITING one."""
    write(
        project,
        "experiments/broken.yaml",
        """
        gitorch: {outputs: [made.txt]}
        tasks:
          - {id: one, command: "echo 1 > made.txt; echo 1 > {outputDir}/kept"}
          - {id: two, command: test -f x}
        """,
    )
    write(
        project,
        "experiments/whole.yaml",
        "tasks: [{id: t, command: 'head -c 2000000 /dev/zero > {outputDir}/big.bin'}]\n",
    )
    write(
        project,
        "experiments/waiting.yaml",
        "tasks: [{id: t, command: echo waited}]\n",
    )
    gitorch(
        project, "run", "experiments/broken.yaml", "experiments/whole.yaml", code=1
    )
    gitorch(project, "ready")
    assert found(project) == []
    return project


def found(
    root: Path, *, fix: bool = False, code: int | None = None
) -> list[tuple[str, bool]]:
    """Return the kind of each finding of `doctor` and True if the damage was repaired."""
    options = ["--fix"] if fix else []
    document = gitorch_json(root, "doctor", *options, code=code)
    assert document["schema"] == "gitorch/doctor/v1"
    return [(finding["what"], finding["fixed"]) for finding in document["findings"]]


def assert_repaired(root: Path, *kinds: str) -> None:
    """Check that `doctor` finds exactly these kinds of damage and repairs them.

    Without `--fix` it must not change anything. After the repair it must not find anything.
    """
    assert found(root, code=1) == [(kind, False) for kind in kinds]
    stdout = gitorch(root, "doctor", code=1).stdout
    assert stdout.count("gitorch doctor --fix") == len(kinds)
    assert len(stdout.splitlines()) == len(kinds), "one line for each finding"
    assert found(root, fix=True, code=0) == [(kind, True) for kind in kinds]
    assert gitorch(root, "doctor").stderr == "all is well\n"


def statuses(root: Path) -> dict[str, str]:
    return {
        run["name"]: run["status"] for run in gitorch_json(root, "list")["runs"]
    }


def id_of(root: Path, name: str) -> str:
    """Return the id of the run with this name."""
    ids: dict[str, str] = {
        run["name"]: run["id"] for run in gitorch_json(root, "list")["runs"]
    }
    return ids[name]


def assert_runs_continue(root: Path) -> None:
    """Check that the WAITING run completes and that the failed run repeats its second task only."""
    gitorch(root, "retry", "broken")
    gitorch(root, "run", code=1)
    assert statuses(root) == {
        "broken": "ERROR",
        "whole": "COMPLETE",
        "waiting": "COMPLETE",
    }
    tasks = gitorch_json(root, "show", "broken")["run"]["tasks"]
    assert [task["attempt_count"] for task in tasks] == [1, 2]


def queue_of(root: Path) -> Path:
    return root / ".git/gitorch/queue.db"


def change_queue(root: Path, *statements: str) -> None:
    with closing(sqlite3.connect(queue_of(root))) as database, database:
        for statement in statements:
            database.execute(statement)


# The queue


def test_a_deleted_queue(root: Path) -> None:
    for path in queue_of(root).parent.glob("queue.db*"):
        path.unlink()
    assert_repaired(root, "queue-missing")
    assert_runs_continue(root)


def test_a_repository_without_runs_needs_no_queue(project: Path) -> None:
    assert found(project) == []
    assert not queue_of(project).exists(), "doctor does not create a queue"


@pytest.mark.parametrize("table", [None, "tasks"], ids=["header", "page"])
def test_a_damaged_queue_is_replaced_and_kept_as_a_copy(
    root: Path, table: str | None
) -> None:
    with closing(sqlite3.connect(queue_of(root))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = 1  # It begins with the header of the file.
        if table:
            query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
            [page] = database.execute(query, [table]).fetchone()
        [page_size] = database.execute("PRAGMA page_size").fetchone()
        offset = (page - 1) * page_size
    with queue_of(root).open("r+b") as file:
        file.seek(offset)
        file.write(b"garbage!" * 200)
    bad = queue_of(root).read_bytes()
    assert_repaired(root, "queue-damaged")
    [copy] = queue_of(root).parent.glob("queue.db.damaged-*Z")
    assert copy.read_bytes() == bad
    assert_runs_continue(root)


def test_a_database_that_is_not_a_queue(root: Path) -> None:
    for path in queue_of(root).parent.glob("queue.db*"):
        path.unlink()
    with closing(sqlite3.connect(queue_of(root))) as database:
        database.execute("CREATE TABLE mine (x)")
    assert_repaired(root, "queue-damaged")
    assert_runs_continue(root)


def test_a_damaged_queue_is_not_replaced_while_a_worker_uses_it(
    root: Path, tmp_path: Path
) -> None:
    worker = working(root, tmp_path)
    queue_of(root).write_bytes(b"garbage!" * 1000)
    assert found(root, fix=True, code=1) == [("queue-damaged", False)]
    assert queue_of(root).read_bytes() == b"garbage!" * 1000
    (tmp_path / "go").touch()
    worker.communicate(timeout=30)


def test_a_queue_of_a_newer_gitorch(root: Path) -> None:
    change_queue(root, "PRAGMA user_version = 99")
    assert found(root, fix=True, code=1) == [("queue-unusable", False)]
    assert UPGRADE in gitorch(root, "doctor", code=1).stdout


@pytest.mark.parametrize(
    ("statement", "runs"),
    [
        ("DELETE FROM runs", 2),
        (
            "DELETE FROM tasks WHERE run = (SELECT id FROM runs ORDER BY seq DESC LIMIT 1)",
            1,
        ),
        (
            "UPDATE tasks SET status = 'HOLD' WHERE status = 'WAITING' AND id = 't'",
            1,
        ),
        ("UPDATE runs SET held = 1 WHERE seq = (SELECT max(seq) FROM runs)", 1),
    ],
    ids=["no run", "no task", "a status", "a hold"],
)
def test_a_queue_that_contradicts_the_records(
    root: Path, statement: str, runs: int
) -> None:
    change_queue(root, "PRAGMA foreign_keys = ON", statement)
    assert_repaired(root, *["queue-disagrees"] * runs)
    assert_runs_continue(root)


def test_a_queued_run_without_a_record(root: Path) -> None:
    payload = "(SELECT payload FROM runs LIMIT 1)"
    change_queue(
        root, f"INSERT INTO runs (id, payload) VALUES ('0123456789ab', {payload})"
    )
    assert_repaired(root, "queue-disagrees")
    assert_runs_continue(root)


# Workers


def working(root: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """Start a worker and return it when its task has begun. The task ends when `go` exists."""
    command = f"touch {tmp_path}/begun; while test ! -f {tmp_path}/go; do sleep 0.05; done"
    write(
        root, "experiments/long.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n"
    )
    worker = started(root, "run", "experiments/long.yaml")
    wait_for((tmp_path / "begun").exists)
    return worker


def test_a_working_worker_is_not_a_finding(root: Path, tmp_path: Path) -> None:
    worker = working(root, tmp_path)
    assert found(root, fix=True, code=0) == []
    (tmp_path / "go").touch()
    assert worker.wait(timeout=30) == 0
    worker.communicate()
    assert found(root) == []


def test_a_dead_worker(root: Path, tmp_path: Path) -> None:
    worker = working(root, tmp_path)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    assert_repaired(root, "dead-worker")
    assert statuses(root)["long"] == "WAITING"
    (tmp_path / "go").touch()
    gitorch(root, "run")
    assert statuses(root)["long"] == "COMPLETE"


def test_an_interrupted_kill(root: Path) -> None:
    run = id_of(root, "waiting")
    change_queue(root, f"UPDATE runs SET doomed = 1 WHERE id = '{run}'")
    assert_repaired(root, "kill-unfinished")
    assert "waiting" not in statuses(root)
    assert not (root.parent / "project.gitorch" / run).exists()


def test_a_running_task_without_a_worker(root: Path) -> None:
    run = id_of(root, "waiting")
    change_queue(
        root,
        f"""
        UPDATE tasks SET status = 'RUNNING', token = 'x', worker = 'gone', attempts = 1
        WHERE run = '{run}'
        """,
    )
    assert_repaired(root, "task-orphaned")
    assert_runs_continue(root)


def test_lock_files_of_a_dead_worker(root: Path) -> None:
    directory = root / ".git/gitorch/workers"
    for name in ("0123.lock", "0123.slots"):
        (directory / name).touch()
        os.utime(directory / name, (TWO_HOURS_AGO, TWO_HOURS_AGO))
    assert_repaired(root, "worker-file")
    assert list(directory.iterdir()) == []


# Worktrees and directories


def test_a_deleted_worktree(root: Path) -> None:
    tree = root.parent / "project.gitorch" / id_of(root, "broken") / "tree"
    shutil.rmtree(tree)
    assert_repaired(root, "worktree-missing")
    assert (tree / "README.md").exists()
    assert (tree / "made.txt").read_text() == "1\n", "the kept outputs are restored"
    assert_runs_continue(root)


def test_a_deleted_directory_of_a_run(root: Path) -> None:
    directory = root.parent / "project.gitorch" / id_of(root, "broken")
    shutil.rmtree(directory)
    assert_repaired(root, "worktree-missing")
    assert (directory / "output/kept").read_text() == "1\n"
    assert_runs_continue(root)


def test_an_incomplete_worktree(root: Path) -> None:
    tree = root.parent / "project.gitorch" / id_of(root, "waiting") / "tree"
    (tree / ".git").unlink()
    assert_repaired(root, "worktree-broken")
    assert git(tree, "status", "--porcelain") == ""
    assert_runs_continue(root)


def test_a_deleted_worktree_of_a_running_task(root: Path, tmp_path: Path) -> None:
    worker = working(root, tmp_path)
    shutil.rmtree(root.parent / "project.gitorch" / id_of(root, "long") / "tree")
    assert found(root, fix=True, code=1) == [("worktree-missing", False)]
    (tmp_path / "go").touch()
    worker.communicate(timeout=30)
    assert found(root) == []


def test_leftovers_of_killed_programs(root: Path) -> None:
    workspace = root.parent / "project.gitorch"
    leftovers = (
        workspace / "scratch/0123456789ab",
        root / ".git/gitorch/snapshots/tmp1234",
        root / ".git/gitorch/tmp/worktree-1234",
        workspace / id_of(root, "whole"),
    )
    for directory in leftovers:
        write(directory, "some/file", "")
        os.utime(directory, (TWO_HOURS_AGO, TWO_HOURS_AGO))
    assert_repaired(root, *["leftover"] * len(leftovers))
    assert not any(directory.exists() for directory in leftovers)
    assert_runs_continue(root)


# Commits


def test_a_missing_pin(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-ref", "-d", f"refs/gitorch/pins/{head}")
    assert_repaired(root, "pin-missing")
    assert git(root, "rev-parse", f"refs/gitorch/pins/{head}") == head


def test_a_commit_that_no_longer_exists(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-ref", "-d", f"refs/gitorch/pins/{head}")
    git(root, "checkout", "-q", "--orphan", "other")
    commit_files(root, {"README.md": "Another project.\n"}, "other")
    git(root, "branch", "-D", "main")
    [_, *added] = git(root, "worktree", "list").splitlines()
    for line in added:
        shutil.rmtree(line.split()[0])
    shutil.rmtree(root / ".git/worktrees")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "-q", "--prune=now")
    kinds = found(root, fix=True, code=1)
    assert ("commit-missing", False) in kinds
    assert kinds.count(("worktree-missing", False)) == len(kinds) - 1
    stdout = gitorch(root, "doctor", code=1).stdout
    assert head[:12] in stdout
    assert f"broken ({id_of(root, 'broken')})" in stdout
    assert f"git fetch REMOTE {head}" in stdout


# Large files


def large_copies(root: Path) -> list[Path]:
    """Return all copies of large files: first in the store of git-lfs, then in that of gitorch."""
    copies: list[Path] = []
    for directory in (root / ".git/lfs/objects", root / ".git/gitorch/objects"):
        copies += [path for path in directory.rglob("*") if path.is_file()]
    return copies


def test_a_missing_large_file_is_reported(root: Path) -> None:
    copies = large_copies(root)
    assert len(copies) == 2
    for path in copies:
        path.unlink()
    assert found(root, fix=True, code=1) == [("large-file-missing", False)]
    stdout = gitorch(root, "doctor", "--fix", code=1).stdout
    assert f"big.bin of whole ({id_of(root, 'whole')}) is lost" in stdout
    assert copies[0].name in stdout
    assert f"gitorch rerun {id_of(root, 'whole')}" in stdout


@pytest.mark.parametrize("which", [0, 1], ids=["git-lfs's", "ours"])
def test_one_missing_copy_of_a_large_file(root: Path, which: int) -> None:
    copies = large_copies(root)
    copies[which].unlink()
    assert_repaired(root, "large-file-copy")
    assert copies[which].stat().st_size == 2_000_000


def test_a_missing_large_log_is_reported(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: talks, command: 'head -c 2000000 /dev/zero'}]\n",
    )
    gitorch(project, "run", "experiments")
    for path in large_copies(project):
        path.unlink()
    assert (
        "tasks/talks/1/log.txt of a (" in gitorch(project, "doctor", code=1).stdout
    )


def test_a_pointer_written_by_a_task_is_an_ordinary_output(project: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5000\n"
    commit_files(project, {"pointer": pointer})
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'cp pointer {outputDir}/'}]\n",
    )
    gitorch(project, "run", "experiments")
    assert found(project) == []


# Locks and the results branch


@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/gitorch/results.lock",
        f"{KEPT}.lock",
        "packed-refs.lock",
        "refs/gitorch/pins/x.lock",
    ],
)
def test_an_old_lock_of_git(root: Path, name: str) -> None:
    lock = root / ".git" / name
    lock.touch()
    assert found(root) == [], "a process may still hold a recent lock"
    os.utime(lock, (TWO_HOURS_AGO, TWO_HOURS_AGO))
    with locked(Repository.discover(root)):
        assert found(root, fix=True, code=1) == [("git-lock", False)], (
            "a process is writing"
        )
    assert_repaired(root, "git-lock")
    assert not lock.exists()


def test_a_deleted_results_branch(root: Path) -> None:
    tip = git(root, "rev-parse", "gitorch/results")
    git(root, "branch", "-D", "gitorch/results")
    assert_repaired(root, "branch-missing")
    assert git(root, "rev-parse", "gitorch/results") == tip


def test_a_results_branch_that_was_moved_back(root: Path) -> None:
    tip = git(root, "rev-parse", "gitorch/results")
    git(root, "branch", "-f", "gitorch/results", "gitorch/results~1")
    kinds = found(root, code=1)
    assert kinds[0] == ("branch-behind", False)
    assert found(root, fix=True, code=0)[0] == ("branch-behind", True)
    assert git(root, "rev-parse", "gitorch/results") == tip
    assert found(root) == []
    assert_runs_continue(root)


@pytest.mark.parametrize("content", ["", "garbage\n", "1" * 40 + "\n"])
def test_a_results_branch_with_a_broken_reference(root: Path, content: str) -> None:
    ref = root / ".git/refs/heads/gitorch/results"
    tip = ref.read_text()
    ref.write_text(content)
    assert found(root, code=1)[0] == ("branch-broken", False)
    assert found(root, fix=True, code=0)[0] == ("branch-broken", True)
    assert ref.read_text() == tip
    [copy] = (root / ".git/gitorch").glob("broken-reference.*")
    assert copy.read_text() == content
    assert found(root) == []
    assert_runs_continue(root)


def test_a_results_branch_with_another_history(root: Path) -> None:
    tip = git(root, "rev-parse", "gitorch/results")
    other = git(root, "commit-tree", "-m", "another", "gitorch/results~1^{tree}")
    git(root, "update-ref", "refs/heads/gitorch/results", other)
    assert found(root, code=1)[0] == ("branch-diverged", False)
    assert found(root, fix=True, code=0)[0] == ("branch-diverged", True)
    assert git(root, "rev-parse", "gitorch/results^1", "gitorch/results^2") == (
        f"{tip}\n{other}"
    )
    assert found(root) == []


def test_a_history_that_an_earlier_gitorch_put_aside(root: Path) -> None:
    record = git(root, "rev-parse", "gitorch/results:runs")
    tree = git(root, "rev-parse", "gitorch/results^{tree}")
    with ResultsBranch(Repository.discover(root)).changing() as edit:
        edit.put_record({"id": "f" * 12})
        former = edit.commit("a former history").tip
    anew = git(root, "commit-tree", "-m", "anew", tree)
    for ref in ("refs/heads/gitorch/results", "refs/gitorch/kept/results"):
        git(root, "update-ref", ref, anew)
    git(root, "update-ref", f"refs/gitorch/kept/{former}", former)
    assert ("branch-diverged", False) in found(root, code=1)
    found(root, fix=True, code=1)
    assert git(root, "rev-parse", "gitorch/results:runs") != record
    assert "branch-diverged" not in dict(found(root, code=1))


def test_a_checked_out_results_branch(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "results"), "gitorch/results")
    assert found(root, fix=True, code=1) == [("branch-checked-out", False)]
    assert (
        f"git -C {tmp_path}/results switch"
        in gitorch(root, "doctor", code=1).stdout
    )


def test_an_unreadable_record(root: Path) -> None:
    run = id_of(root, "whole")
    branch = ResultsBranch(Repository.discover(root))
    with branch.changing() as change:
        change.put(f"runs/{run[:2]}/{run}/record.json", b"{]")
        change.commit("by hand")
    assert found(root, fix=True, code=1)[0] == ("record-unreadable", False)
    hint = f"git log gitorch/results -- runs/{run[:2]}/{run}"
    assert hint in gitorch(root, "doctor", code=1).stdout


def test_a_record_with_a_value_of_the_wrong_type(root: Path) -> None:
    """`doctor` prints the path of the value. The other runs are not affected."""
    run_id = id_of(root, "whole")
    branch = ResultsBranch(Repository.discover(root))
    record = branch.record(run_id)
    assert record is not None
    record["tasks"][0]["attempts"][0]["duration_s"] = "long"
    with branch.changing() as edit:
        edit.put_record(record)
        edit.commit("by hand")
    reason = "Expected `float`, got `str` - at `$.tasks[0].attempts[0].duration_s`"
    assert found(root, fix=True, code=1)[0] == ("record-unreadable", False)
    assert reason in gitorch(root, "doctor", code=1).stdout
    assert reason in gitorch(root, "show", run_id, code=1).stderr
    assert "1 record cannot be read: " + run_id in gitorch(root, "list").stderr
    assert "whole" not in statuses(root)


@pytest.mark.parametrize(
    "content",
    [b"{]", b"\xff", b"[]", b"[" * 100_000],
    ids=["syntax", "encoding", "list", "nesting"],
)
def test_a_record_that_is_not_json_affects_its_own_run_only(
    root: Path, content: bytes
) -> None:
    """The other runs are listed, whether the index is updated or built again."""
    run_id = id_of(root, "whole")
    branch = ResultsBranch(Repository.discover(root))
    with branch.changing() as edit:
        edit.put(f"runs/{run_id[:2]}/{run_id}/record.json", content)
        edit.commit("by hand")
    others = {"broken": "ERROR", "waiting": "WAITING"}
    assert statuses(root) == others
    (root / ".git/gitorch/index.db").unlink()
    assert statuses(root) == others
    assert found(root, code=1)[0] == ("record-unreadable", False)
    gitorch(root, "retry", "broken")
    gitorch(root, "run", code=1)
    assert statuses(root) == {"broken": "ERROR", "waiting": "COMPLETE"}


def test_several_kinds_of_damage_at_once(root: Path) -> None:
    for path in queue_of(root).parent.glob("queue.db*"):
        path.unlink()
    shutil.rmtree(root.parent / "project.gitorch")
    git(
        root,
        "update-ref",
        "-d",
        f"refs/gitorch/pins/{git(root, 'rev-parse', 'HEAD')}",
    )
    git(root, "branch", "-D", "gitorch/results")
    assert all(fixed for _, fixed in found(root, fix=True, code=0))
    assert found(root) == []
    assert_runs_continue(root)
