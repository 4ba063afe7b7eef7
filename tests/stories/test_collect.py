"""What failed long ago is given up, and nothing stays behind that nothing needs."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from gitorch.actions.collect import fail_overdue
from gitorch.git.repository import Repository
from gitorch.git.store import repack
from gitorch.git.worktree.worktrees import FastWorktrees
from gitorch.runs.site import Site
from tests.conftest import git, gitorch, gitorch_json, write

BROKEN = "tasks: [{id: t, command: 'exit 3'}]\n"


def statuses(root: Path) -> dict[str, str]:
    return {run["name"]: run["status"] for run in gitorch_json(root, "list")["runs"]}


def ids(root: Path) -> dict[str, str]:
    return {run["name"]: run["id"] for run in gitorch_json(root, "list")["runs"]}


def test_a_run_that_failed_long_ago_is_given_up_and_can_come_back(project: Path) -> None:
    write(project, "experiments/a.yaml", BROKEN)
    gitorch(project, "run", "experiments", code=1)
    run = ids(project)["a"]
    assert gitorch_json(project, "collect")["failed"] == []
    assert (
        gitorch_json(project, "collect", "--dry-run", "--older-than", "0s")["failed"][0]["id"]
        == run
    )
    assert statuses(project) == {"a": "ERROR"}, "the first was too early, the second only looked"

    said = gitorch(project, "collect", "--older-than", "0s").stdout
    assert f"{run}  ERROR -> FAILED  a" in said
    shown = gitorch_json(project, "show", "a")["run"]
    assert shown["status"] == "FAILED"
    assert shown["history"][-1]["why"] == "in ERROR for longer than 0s"
    assert shown["history"][-1]["by"] == "A. Researcher"
    assert not (project.parent / "project.gitorch" / run).exists()
    assert list((project.parent / "project.gitorch" / "trash").iterdir()) == []
    assert "Gitorch-Status: FAILED" in git(project, "log", "-1", "gitorch/results")
    gitorch(project, "resubmit", "a")
    assert statuses(project) == {"a": "WAITING"}


def test_the_setting_decides_unless_the_option_does(project: Path) -> None:
    write(project, "experiments/a.yaml", BROKEN)
    gitorch(project, "run", "experiments", code=1)
    git(project, "config", "gitorch.errorRetention", "1h")
    assert gitorch_json(project, "collect")["failed"] == []
    git(project, "config", "gitorch.errorRetention", "0s")
    assert gitorch_json(project, "collect", "--older-than", "1d")["failed"] == []
    assert len(gitorch_json(project, "collect")["failed"]) == 1


@pytest.mark.parametrize("written", ["soon", "", "-1d", "30 days"])
def test_what_is_no_length_of_time_is_refused(project: Path, written: str) -> None:
    said = gitorch(project, "collect", f"--older-than={written}", code=2).stderr
    assert "--older-than" in said
    git(project, "config", "gitorch.errorRetention", written)
    assert "gitorch.errorRetention" in gitorch(project, "collect", code=2).stderr


def test_directories_that_nothing_needs_are_removed_and_no_others(project: Path) -> None:
    """Each stands for a crash: between the end of a run and the removal of its directory, or in the middle of one."""
    names = ("complete", "failed", "error", "waiting", "killed")
    for name in names:
        command = {"complete": "true", "waiting": "echo w", "killed": "echo k"}.get(
            name, f"exit {len(name)}"
        )
        write(project, f"experiments/{name}.yaml", f"tasks: [{{id: t, command: '{command}'}}]\n")
    gitorch(
        project,
        "run",
        *(f"experiments/{name}.yaml" for name in ("complete", "failed", "error")),
        code=1,
    )
    gitorch(project, "ready")
    run = ids(project)
    gitorch(project, "fail", "failed")
    gitorch(project, "kill", "killed")
    workspace = project.parent / "project.gitorch"
    repository = Repository.discover(project)
    for name in ("complete", "failed", "killed"):
        FastWorktrees(repository).materialise(
            git(project, "rev-parse", "HEAD"), workspace / run[name] / "tree"
        )
        write(workspace, f"{run[name]}/log/t/1/log.txt", "")
    write(workspace, "scratch/0123456789ab/tree/file", "")
    write(workspace, "scratch/ba9876543210/tree/file", "of a check that is going on")
    write(workspace, "trash/tree.0123/file", "")
    write(workspace, "0123456789ab/output/precious", "of a run that nobody knows")
    long_ago = time.time() - 7200
    os.utime(workspace / "scratch/0123456789ab", (long_ago, long_ago))
    before = {path.name for path in workspace.iterdir()}

    wanted = gitorch_json(project, "collect", "--dry-run")
    assert {path.name for path in workspace.iterdir()} == before
    done = gitorch_json(project, "collect")
    assert [left["path"] for left in done["removed"]] == [
        left["path"] for left in wanted["removed"]
    ]
    assert {(left["run"], left["why"]) for left in done["removed"]} == {
        (run["complete"], "COMPLETE"),
        (run["failed"], "FAILED"),
        (run["killed"], "killed"),
        (None, "a check that was killed"),
    }
    left = {path.name for path in workspace.iterdir() if path.is_dir()}
    assert left & {*run.values(), "0123456789ab"} == {run["waiting"], run["error"], "0123456789ab"}
    assert [path.name for path in (workspace / "scratch").iterdir()] == ["ba9876543210"]
    assert list((workspace / "trash").iterdir()) == []
    assert gitorch(project, "collect").stdout == ""
    gitorch(project, "retry", "error")
    gitorch(project, "run", code=1)
    assert statuses(project)["waiting"] == "COMPLETE"
    assert git(project, "worktree", "list", "--porcelain").count("worktree ") == 2, (
        "the project's, and error's"
    )


def test_files_that_could_not_be_kept_stay(project: Path) -> None:
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
    assert [left["path"] for left in gitorch_json(project, "collect")["removed"]] == [
        str(directory / "tree")
    ]
    assert (directory / "output" / "b").exists()
    assert not (directory / "tree").exists()


def test_the_packs_of_the_results_become_few(project: Path) -> None:
    for number in range(4):
        write(project, "experiments/a.yaml", f"n: {number}\ntasks: [{{id: t, command: 'true'}}]\n")
        gitorch(project, "run", "experiments")
    before = repack.count_packs(Repository.discover(project))
    assert before >= 4
    assert gitorch_json(project, "collect", "--dry-run")["packs"] == {
        "before": before,
        "after": before,
    }
    assert "into 1" in gitorch(project, "collect").stdout
    assert repack.count_packs(Repository.discover(project)) == 1
    assert len(statuses(project)) == 1
    assert git(project, "fsck", "--full", "--no-dangling") == ""


def test_a_worker_may_give_up_what_failed_long_ago(project: Path) -> None:
    write(project, "experiments/a.yaml", BROKEN)
    write(project, "experiments/b.yaml", "tasks: [{id: t, command: 'echo waits'}]\n")
    gitorch(project, "run", "experiments/a.yaml", code=1)
    gitorch(project, "ready")
    assert fail_overdue(Site.at(project)) == ()
    git(project, "config", "gitorch.errorRetention", "0s")
    assert [record.name for record in fail_overdue(Site.at(project))] == ["a"]
    assert statuses(project) == {"a": "FAILED", "b": "WAITING"}
    with sqlite3.connect(project / ".git/gitorch/queue.db") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_run_gives_up_by_itself_what_failed_long_ago(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: exit 1}]\n")
    gitorch(project, "run", "experiments", code=1)
    git(project, "config", "gitorch.errorRetention", "0s")
    assert "FAILED, it was in ERROR for too long" in gitorch(project, "run").stderr
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == ["FAILED"]
    git(project, "config", "gitorch.errorRetention", "soon")
    assert "gitorch.errorRetention" in gitorch(project, "run", code=2).stderr
