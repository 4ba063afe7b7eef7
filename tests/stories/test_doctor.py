"""Every kind of damage that doctor knows: done by hand, found, mended where it can be, and the work goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store.branch_state import KEPT
from gitorch.git.store.lock import locked
from gitorch.git.store.results import ResultsBranch
from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write

LONG_AGO = time.time() - 7200


@pytest.fixture
def root(project: Path) -> Path:
    """A project with a run in ERROR, a COMPLETE one and one that waits."""
    write(
        project,
        "experiments/broken.yaml",
        "gitorch: {outputs: [made.txt]}\n"
        "tasks: [{id: one, command: 'echo 1 > made.txt; echo 1 > {outputDir}/kept'}, {id: two, command: test -f x}]\n",
    )
    write(
        project,
        "experiments/whole.yaml",
        "tasks: [{id: t, command: 'head -c 2000000 /dev/zero > {outputDir}/big.bin'}]\n",
    )
    write(project, "experiments/waiting.yaml", "tasks: [{id: t, command: echo waited}]\n")
    gitorch(project, "run", "experiments/broken.yaml", "experiments/whole.yaml", code=1)
    gitorch(project, "ready")
    assert found(project) == []
    return project


def found(root: Path, *, fix: bool = False, code: int | None = None) -> list[tuple[str, bool]]:
    """What doctor finds: kinds, and whether they were mended."""
    document = gitorch_json(
        root, "doctor", *(["--fix"] if fix else []), code=None if code is None else code
    )
    assert document["schema"] == "gitorch/doctor/v1"
    return [(finding["what"], finding["fixed"]) for finding in document["findings"]]


def is_mended(root: Path, *kinds: str) -> None:
    """Exactly these are found, looking changes nothing, and after mending all is well."""
    assert found(root, code=1) == [(kind, False) for kind in kinds]
    said = gitorch(root, "doctor", code=1)
    assert said.stdout.count("gitorch doctor --fix") == len(kinds)
    assert len(said.stdout.splitlines()) == len(kinds), "one line each"
    assert found(root, fix=True, code=0) == [(kind, True) for kind in kinds]
    assert gitorch(root, "doctor").stderr == "all is well\n"


def statuses(root: Path) -> dict[str, str]:
    return {run["name"]: run["status"] for run in gitorch_json(root, "list")["runs"]}


def run_of(root: Path, name: str) -> str:
    return next(run["id"] for run in gitorch_json(root, "list")["runs"] if run["name"] == name)


def goes_on(root: Path) -> None:
    """What waited runs; what failed continues with its second task."""
    gitorch(root, "retry", "broken")
    gitorch(root, "run", code=1)
    assert statuses(root) == {"broken": "ERROR", "whole": "COMPLETE", "waiting": "COMPLETE"}
    assert [
        task["attempt_count"] for task in gitorch_json(root, "show", "broken")["run"]["tasks"]
    ] == [1, 2]


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
    is_mended(root, "queue-missing")
    goes_on(root)


def test_a_queue_that_was_never_needed_is_not_missed(project: Path) -> None:
    assert found(project) == []
    assert not queue_of(project).exists(), "looking makes none"


@pytest.mark.parametrize("table", [None, "tasks"], ids=["header", "page"])
def test_a_damaged_queue_is_kept_aside(root: Path, table: str | None) -> None:
    with closing(sqlite3.connect(queue_of(root))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [page] = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", [table]
        ).fetchone() or [1]
        offset = (page - 1) * database.execute("PRAGMA page_size").fetchone()[0]
    with queue_of(root).open("r+b") as file:
        file.seek(offset)
        file.write(b"garbage!" * 200)
    bad = queue_of(root).read_bytes()
    is_mended(root, "queue-damaged")
    [aside] = queue_of(root).parent.glob("queue.db.damaged-*Z")
    assert aside.read_bytes() == bad
    goes_on(root)


def test_a_file_that_is_no_queue(root: Path) -> None:
    for path in queue_of(root).parent.glob("queue.db*"):
        path.unlink()
    with closing(sqlite3.connect(queue_of(root))) as database:
        database.execute("CREATE TABLE mine (x)")
    is_mended(root, "queue-damaged")
    goes_on(root)


def test_a_damaged_queue_is_not_taken_from_a_worker(root: Path, tmp_path: Path) -> None:
    worker = at_work(root, tmp_path)
    queue_of(root).write_bytes(b"garbage!" * 1000)
    assert found(root, fix=True, code=1) == [("queue-damaged", False)]
    assert queue_of(root).read_bytes() == b"garbage!" * 1000
    (tmp_path / "go").touch()
    worker.communicate(timeout=30)


def test_a_queue_of_a_newer_gitorch(root: Path) -> None:
    change_queue(root, "PRAGMA user_version = 99")
    assert found(root, fix=True, code=1) == [("queue-unusable", False)]
    assert "pip install --upgrade gitorch" in gitorch(root, "doctor", code=1).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM runs",
        "DELETE FROM tasks WHERE run = (SELECT id FROM runs ORDER BY seq DESC LIMIT 1)",
        "UPDATE tasks SET status = 'HOLD' WHERE status = 'WAITING' AND id = 't'",
        "UPDATE runs SET held = 1 WHERE seq = (SELECT max(seq) FROM runs)",
    ],
    ids=["no run", "no task", "a status", "a hold"],
)
def test_a_queue_that_says_other_than_the_records(root: Path, statement: str) -> None:
    change_queue(root, "PRAGMA foreign_keys = ON", statement)
    is_mended(root, *["queue-disagrees"] * (2 if statement == "DELETE FROM runs" else 1))
    goes_on(root)


def test_a_run_in_the_queue_that_no_record_knows(root: Path) -> None:
    payload = "(SELECT payload FROM runs LIMIT 1)"
    change_queue(root, f"INSERT INTO runs (id, payload) VALUES ('0123456789ab', {payload})")
    is_mended(root, "queue-disagrees")
    goes_on(root)


# Workers


def at_work(root: Path, tmp_path: Path):
    command = f"touch {tmp_path}/begun; while test ! -f {tmp_path}/go; do sleep 0.05; done"
    write(root, "experiments/long.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n")
    worker = started(root, "run", "experiments/long.yaml")
    wait_for((tmp_path / "begun").exists)
    return worker


def test_a_worker_at_work_is_well(root: Path, tmp_path: Path) -> None:
    worker = at_work(root, tmp_path)
    assert found(root, fix=True, code=0) == []
    (tmp_path / "go").touch()
    assert worker.wait(timeout=30) == 0
    worker.communicate()
    assert found(root) == []


def test_a_dead_worker(root: Path, tmp_path: Path) -> None:
    worker = at_work(root, tmp_path)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    is_mended(root, "dead-worker")
    assert statuses(root)["long"] == "WAITING"
    (tmp_path / "go").touch()
    gitorch(root, "run")
    assert statuses(root)["long"] == "COMPLETE"


def test_a_kill_that_was_cut_short(root: Path) -> None:
    run = run_of(root, "waiting")
    change_queue(root, f"UPDATE runs SET doomed = 1 WHERE id = '{run}'")
    is_mended(root, "kill-unfinished")
    assert "waiting" not in statuses(root)
    assert not (root.parent / "project.gitorch" / run).exists()


def test_a_task_that_runs_in_nobodys_hands(root: Path) -> None:
    run = run_of(root, "waiting")
    change_queue(
        root,
        f"UPDATE tasks SET status = 'RUNNING', token = 'x', worker = 'gone', attempts = 1 WHERE run = '{run}'",
    )
    is_mended(root, "task-orphaned")
    goes_on(root)


def test_lock_files_of_a_worker_that_is_gone(root: Path) -> None:
    directory = root / ".git/gitorch/workers"
    for name in ("0123.lock", "0123.slots"):
        (directory / name).touch()
        os.utime(directory / name, (LONG_AGO, LONG_AGO))
    is_mended(root, "worker-file")
    assert list(directory.iterdir()) == []


# Worktrees and directories


def test_a_deleted_worktree(root: Path) -> None:
    tree = root.parent / "project.gitorch" / run_of(root, "broken") / "tree"
    shutil.rmtree(tree)
    is_mended(root, "worktree-missing")
    assert (tree / "README.md").exists()
    assert (tree / "made.txt").read_text() == "1\n", "what was kept of it is there again"
    goes_on(root)


def test_a_deleted_directory_of_a_run(root: Path) -> None:
    directory = root.parent / "project.gitorch" / run_of(root, "broken")
    shutil.rmtree(directory)
    is_mended(root, "worktree-missing")
    assert (directory / "output/kept").read_text() == "1\n"
    goes_on(root)


def test_a_half_made_worktree(root: Path) -> None:
    tree = root.parent / "project.gitorch" / run_of(root, "waiting") / "tree"
    (tree / ".git").unlink()
    is_mended(root, "worktree-broken")
    assert git(tree, "status", "--porcelain") == ""
    goes_on(root)


def test_a_deleted_worktree_that_a_task_runs_in(root: Path, tmp_path: Path) -> None:
    worker = at_work(root, tmp_path)
    shutil.rmtree(root.parent / "project.gitorch" / run_of(root, "long") / "tree")
    assert found(root, fix=True, code=1) == [("worktree-missing", False)]
    (tmp_path / "go").touch()
    worker.communicate(timeout=30)
    assert found(root) == []


def test_what_killed_programs_have_left(root: Path) -> None:
    workspace = root.parent / "project.gitorch"
    left = (
        workspace / "scratch/0123456789ab",
        root / ".git/gitorch/snapshots/tmp1234",
        root / ".git/gitorch/tmp/worktree-1234",
        workspace / run_of(root, "whole"),
    )
    for directory in left:
        write(directory, "some/file", "")
        os.utime(directory, (LONG_AGO, LONG_AGO))
    is_mended(root, *["leftover"] * len(left))
    assert not any(directory.exists() for directory in left)
    goes_on(root)


# Commits


def test_a_missing_pin(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-ref", "-d", f"refs/gitorch/pins/{head}")
    is_mended(root, "pin-missing")
    assert git(root, "rev-parse", f"refs/gitorch/pins/{head}") == head


def test_a_commit_that_is_gone_for_good(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-ref", "-d", f"refs/gitorch/pins/{head}")
    git(root, "checkout", "-q", "--orphan", "other")
    commit_files(root, {"README.md": "Another project.\n"}, "other")
    git(root, "branch", "-D", "main")
    for tree in [line.split()[0] for line in git(root, "worktree", "list").splitlines()][1:]:
        shutil.rmtree(tree)
    shutil.rmtree(root / ".git/worktrees")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "-q", "--prune=now")
    kinds = found(root, fix=True, code=1)
    assert ("commit-missing", False) in kinds
    assert kinds.count(("worktree-missing", False)) == len(kinds) - 1
    said = gitorch(root, "doctor", code=1).stdout
    assert head[:12] in said
    assert f"broken ({run_of(root, 'broken')})" in said
    assert f"git fetch REMOTE {head}" in said


# Large files


def large_copies(root: Path) -> list[Path]:
    return [
        path
        for place in (root / ".git/lfs/objects", root / ".git/gitorch/objects")
        for path in place.rglob("*")
        if path.is_file()
    ]


def test_a_missing_large_file_is_named(root: Path) -> None:
    copies = large_copies(root)
    assert len(copies) == 2
    for path in copies:
        path.unlink()
    assert found(root, fix=True, code=1) == [("large-file-missing", False)]
    said = gitorch(root, "doctor", "--fix", code=1).stdout
    assert f"big.bin of whole ({run_of(root, 'whole')}) is lost" in said
    assert copies[0].name in said
    assert f"gitorch rerun {run_of(root, 'whole')}" in said


@pytest.mark.parametrize("which", [0, 1], ids=["git-lfs's", "ours"])
def test_one_missing_copy_of_a_large_file(root: Path, which: int) -> None:
    copies = large_copies(root)
    copies[which].unlink()
    is_mended(root, "large-file-copy")
    assert copies[which].stat().st_size == 2_000_000


def test_a_large_log_counts_too(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: talks, command: 'head -c 2000000 /dev/zero'}]\n",
    )
    gitorch(project, "run", "experiments")
    for path in large_copies(project):
        path.unlink()
    assert "tasks/talks/1/log.txt of a (" in gitorch(project, "doctor", code=1).stdout


def test_a_pointer_that_a_run_wrote_itself_is_its_output(project: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5000\n"
    commit_files(project, {"pointer": pointer})
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'cp pointer {outputDir}/'}]\n")
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
    assert found(root) == [], "it may be somebody's"
    os.utime(lock, (LONG_AGO, LONG_AGO))
    with locked(Repository.discover(root)):
        assert found(root, fix=True, code=1) == [("git-lock", False)], "somebody is writing"
    is_mended(root, "git-lock")
    assert not lock.exists()


def test_a_results_branch_that_is_gone(root: Path) -> None:
    tip = git(root, "rev-parse", "gitorch/results")
    git(root, "branch", "-D", "gitorch/results")
    is_mended(root, "branch-missing")
    assert git(root, "rev-parse", "gitorch/results") == tip


def test_a_results_branch_that_went_backwards(root: Path) -> None:
    tip = git(root, "rev-parse", "gitorch/results")
    git(root, "branch", "-f", "gitorch/results", "gitorch/results~1")
    kinds = found(root, code=1)
    assert kinds[0] == ("branch-behind", False)
    assert found(root, fix=True, code=0)[0] == ("branch-behind", True)
    assert git(root, "rev-parse", "gitorch/results") == tip
    assert found(root) == []
    goes_on(root)


@pytest.mark.parametrize("content", ["", "garbage\n", "1" * 40 + "\n"])
def test_a_results_branch_whose_reference_is_broken(root: Path, content: str) -> None:
    ref = root / ".git/refs/heads/gitorch/results"
    tip = ref.read_text()
    ref.write_text(content)
    assert found(root, code=1)[0] == ("branch-broken", False)
    assert found(root, fix=True, code=0)[0] == ("branch-broken", True)
    assert ref.read_text() == tip
    assert [path.read_text() for path in (root / ".git/gitorch").glob("broken-reference.*")] == [
        content
    ]
    assert found(root) == []
    goes_on(root)


def test_a_results_branch_with_another_history(root: Path) -> None:
    tip = git(root, "rev-parse", "gitorch/results")
    other = git(root, "commit-tree", "-m", "another", "gitorch/results~1^{tree}")
    git(root, "update-ref", "refs/heads/gitorch/results", other)
    for arguments in ([], ["--fix"], ["--fix"]):
        said = gitorch(root, "doctor", *arguments, code=1).stdout
        assert "has results that gitorch/results does not" in said
    assert git(root, "rev-parse", f"refs/gitorch/kept/{tip}") == tip, "nothing is lost"


def test_a_results_branch_that_is_checked_out(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "results"), "gitorch/results")
    assert found(root, fix=True, code=1) == [("branch-checked-out", False)]
    assert f"git -C {tmp_path}/results switch" in gitorch(root, "doctor", code=1).stdout


def test_a_record_that_cannot_be_read(root: Path) -> None:
    run = run_of(root, "whole")
    branch = ResultsBranch(Repository.discover(root))
    with branch.changing() as change:
        change.put(f"runs/{run[:2]}/{run}/record.json", b"{]")
        change.commit("by hand")
    assert found(root, fix=True, code=1)[0] == ("record-unreadable", False)
    assert (
        f"git log gitorch/results -- runs/{run[:2]}/{run}" in gitorch(root, "doctor", code=1).stdout
    )


def test_a_record_with_a_value_of_the_wrong_type(root: Path) -> None:
    """Doctor prints the path of the value. The other runs are not affected."""
    run_id = run_of(root, "whole")
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
    assert statuses(root)["whole"] == "COMPLETE"
    goes_on(root)


@pytest.mark.parametrize(
    "content",
    [b"{]", b"\xff", b"[]", b"[" * 100_000],
    ids=["syntax", "encoding", "list", "nesting"],
)
def test_a_record_that_is_not_json_affects_its_own_run_only(root: Path, content: bytes) -> None:
    """The other runs are listed, whether the index is updated or built again."""
    run_id = run_of(root, "whole")
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


def test_a_repository_after_everything_at_once(root: Path) -> None:
    for path in queue_of(root).parent.glob("queue.db*"):
        path.unlink()
    shutil.rmtree(root.parent / "project.gitorch")
    git(root, "update-ref", "-d", f"refs/gitorch/pins/{git(root, 'rev-parse', 'HEAD')}")
    git(root, "branch", "-D", "gitorch/results")
    assert all(fixed for _, fixed in found(root, fix=True, code=0))
    assert found(root) == []
    goes_on(root)
