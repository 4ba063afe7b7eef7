"""`collect` fails runs that have been in ERROR for long and removes directories without a use."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitorch.actions.collect import collect, fail_overdue
from gitorch.errors import Refused
from gitorch.git.repository import Repository
from gitorch.git.store import repack
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.storage.site import Site
from gitorch.tools import clock
from tests.conftest import git, gitorch, gitorch_json, write

FAILING = "tasks: [{id: t, command: 'exit 3'}]\n"


def statuses(root: Path) -> dict[str, str]:
    """Return the status of each run by its name."""
    return {
        run["name"]: run["status"] for run in gitorch_json(root, "list")["runs"]
    }


def ids(root: Path) -> dict[str, str]:
    """Return the id of each run by its name."""
    return {run["name"]: run["id"] for run in gitorch_json(root, "list")["runs"]}


def test_a_run_that_stays_in_error_is_failed_and_can_be_resubmitted(
    project: Path,
) -> None:
    write(project, "experiments/a.yaml", FAILING)
    gitorch(project, "run", "experiments", code=1)
    run_id = ids(project)["a"]
    assert gitorch_json(project, "collect")["failed"] == [], (
        "the error is too recent"
    )
    planned = gitorch_json(project, "collect", "--dry-run", "--older-than", "0s")
    assert planned["failed"][0]["id"] == run_id
    assert statuses(project) == {"a": "ERROR"}, (
        "neither of the two has changed anything"
    )

    stdout = gitorch(project, "collect", "--older-than", "0s").stdout
    assert f"{run_id}  ERROR -> FAILED  a" in stdout
    shown = gitorch_json(project, "show", "a")["run"]
    assert shown["status"] == "FAILED"
    assert shown["history"][-1]["why"] == "in ERROR for longer than 0s"
    assert shown["history"][-1]["by"] == "A. Researcher"
    assert not (project.parent / "project.gitorch" / run_id).exists()
    assert list((project.parent / "project.gitorch" / "trash").iterdir()) == []
    assert "Gitorch-Status: FAILED" in git(project, "log", "-1", "gitorch/results")
    gitorch(project, "resubmit", "a")
    assert statuses(project) == {"a": "WAITING"}


def test_the_option_older_than_overrides_the_setting(project: Path) -> None:
    write(project, "experiments/a.yaml", FAILING)
    gitorch(project, "run", "experiments", code=1)
    git(project, "config", "gitorch.errorRetention", "1h")
    assert gitorch_json(project, "collect")["failed"] == []
    git(project, "config", "gitorch.errorRetention", "0s")
    assert gitorch_json(project, "collect", "--older-than", "1d")["failed"] == []
    assert len(gitorch_json(project, "collect")["failed"]) == 1


@pytest.mark.parametrize("duration", ["soon", "", "-1d", "30 days"])
def test_an_invalid_duration_is_refused(project: Path, duration: str) -> None:
    stderr = gitorch(project, "collect", f"--older-than={duration}", code=2).stderr
    assert "--older-than" in stderr
    git(project, "config", "gitorch.errorRetention", duration)
    assert "gitorch.errorRetention" in gitorch(project, "collect", code=2).stderr


def test_only_directories_without_a_use_are_removed(project: Path) -> None:
    """Remove what crashes leave behind.

    A crash can occur between the end of a run and the removal of its directory, or during the
    removal.
    """
    commands = {
        "complete": "true",
        "failed": "exit 6",
        "error": "exit 5",
        "waiting": "echo w",
        "killed": "echo k",
    }
    for name, command in commands.items():
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: '{command}'}}]\n",
        )
    executed = [
        f"experiments/{name}.yaml" for name in ("complete", "failed", "error")
    ]
    gitorch(project, "run", *executed, code=1)
    gitorch(project, "ready")
    run_ids = ids(project)
    gitorch(project, "fail", "failed")
    gitorch(project, "kill", "--yes", "killed")
    workspace = project.parent / "project.gitorch"
    repository = Repository.discover(project)
    for name in ("complete", "failed", "killed"):
        head = git(project, "rev-parse", "HEAD")
        FastWorktrees(repository).materialise(
            head, workspace / run_ids[name] / "tree"
        )
        write(workspace, f"{run_ids[name]}/log/t/1/log.txt", "")
    write(workspace, "scratch/0123456789ab/tree/file", "")
    write(workspace, "scratch/ba9876543210/tree/file", "of a check in progress")
    write(workspace, "trash/tree.0123/file", "")
    write(workspace, "0123456789ab/output/precious", "of an unknown run")
    two_hours_ago = time.time() - 7200
    os.utime(workspace / "scratch/0123456789ab", (two_hours_ago, two_hours_ago))
    before = {path.name for path in workspace.iterdir()}

    planned = gitorch_json(project, "collect", "--dry-run")["removed"]
    assert {path.name for path in workspace.iterdir()} == before
    removed = gitorch_json(project, "collect")["removed"]
    removed_paths = [directory["path"] for directory in removed]
    assert removed_paths == [directory["path"] for directory in planned]
    reasons = {(directory["run"], directory["why"]) for directory in removed}
    assert reasons == {
        (run_ids["complete"], "COMPLETE"),
        (run_ids["failed"], "FAILED"),
        (run_ids["killed"], "killed"),
        (None, "a check that was killed"),
    }
    remaining = {path.name for path in workspace.iterdir() if path.is_dir()}
    remaining &= {*run_ids.values(), "0123456789ab"}
    assert remaining == {run_ids["waiting"], run_ids["error"], "0123456789ab"}
    assert [path.name for path in (workspace / "scratch").iterdir()] == [
        "ba9876543210"
    ]
    assert list((workspace / "trash").iterdir()) == []
    assert gitorch(project, "collect").stdout == ""
    gitorch(project, "retry", "error")
    gitorch(project, "run", code=1)
    assert statuses(project)["waiting"] == "COMPLETE"
    worktrees = git(project, "worktree", "list", "--porcelain")
    assert worktrees.count("worktree ") == 2, (
        "the project itself and the run in ERROR"
    )


def test_output_files_that_could_not_be_kept_are_not_removed(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        "tasks: [{id: t, command: 'mkfifo {outputDir}/pipe; echo 1 > {outputDir}/b'}]\n",
    )
    gitorch(project, "run", "experiments")
    directory = project.parent / "project.gitorch" / ids(project)["a"]
    assert (directory / "output" / "b").exists()
    assert gitorch_json(project, "collect")["removed"] == []
    (directory / "tree").mkdir()
    removed = gitorch_json(project, "collect")["removed"]
    assert [entry["path"] for entry in removed] == [str(directory / "tree")]
    assert (directory / "output" / "b").exists()
    assert not (directory / "tree").exists()


def test_collect_combines_the_packs_of_the_results(project: Path) -> None:
    for number in range(4):
        write(
            project,
            "experiments/a.yaml",
            f"n: {number}\ntasks: [{{id: t, command: 'true'}}]\n",
        )
        gitorch(project, "run", "experiments")
    before = repack.count_packs(Repository.discover(project))
    assert before >= 4
    planned = gitorch_json(project, "collect", "--dry-run")
    assert planned["packs"] == {"before": before, "after": before}
    assert "into 1" in gitorch(project, "collect").stdout
    assert repack.count_packs(Repository.discover(project)) == 1
    assert len(statuses(project)) == 1
    assert git(project, "fsck", "--full", "--no-dangling") == ""


def test_fail_overdue_fails_only_overdue_runs(project: Path) -> None:
    write(project, "experiments/a.yaml", FAILING)
    write(
        project, "experiments/b.yaml", "tasks: [{id: t, command: 'echo waits'}]\n"
    )
    gitorch(project, "run", "experiments/a.yaml", code=1)
    gitorch(project, "ready")
    assert fail_overdue(Site.at(project)) == ()
    git(project, "config", "gitorch.errorRetention", "0s")
    assert [record.name for record in fail_overdue(Site.at(project))] == ["a"]
    assert statuses(project) == {"a": "FAILED", "b": "WAITING"}
    with sqlite3.connect(project / ".git/gitorch/queue.db") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_run_fails_overdue_runs_by_itself(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: exit 1}]\n")
    gitorch(project, "run", "experiments", code=1)
    git(project, "config", "gitorch.errorRetention", "0s")
    assert "FAILED, it was in ERROR for too long" in gitorch(project, "run").stderr
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == [
        "FAILED"
    ]
    git(project, "config", "gitorch.errorRetention", "soon")
    assert "gitorch.errorRetention" in gitorch(project, "run", code=2).stderr


# `gitorch run` on a machine whose clock is set to the next year once the file `set` exists.
CLOCK_IS_SET = """
import sys
from pathlib import Path
from gitorch.tools import clock
from gitorch.__main__ import main
ahead = clock._ahead_of_boot_s
is_set = Path(sys.argv[1]).exists
clock._ahead_of_boot_s = lambda: ahead() + 365 * 24 * 3600 * is_set()
sys.argv[1:] = ["run"]
main()
"""


@pytest.mark.parametrize("is_set", [False, True])
def test_a_clock_that_is_set_during_a_run_fails_nothing(
    project: Path, tmp_path: Path, is_set: bool
) -> None:
    git(project, "config", "gitorch.errorRetention", "0s")
    command = f"touch {tmp_path}/set; exit 3" if is_set else "exit 3"
    write(
        project, "experiments/a.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n"
    )
    gitorch(project, "ready")
    result = subprocess.run(
        [sys.executable, "-c", CLOCK_IS_SET, str(tmp_path / "set")],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert ("the clock was set by +3153" in result.stderr) == is_set
    assert statuses(project) == {"a": "ERROR" if is_set else "FAILED"}


def test_collect_does_not_act_on_a_clock_that_was_set(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "experiments/a.yaml", FAILING)
    gitorch(project, "run", "experiments", code=1)
    ahead_s = clock._ahead_of_boot_s()
    monkeypatch.setattr(clock, "_ahead_of_boot_s", lambda: ahead_s + 1e8)
    with pytest.raises(Refused, match="the clock was set by"):
        collect(Site.at(project), older_than="0s")
    assert statuses(project) == {"a": "ERROR"}
