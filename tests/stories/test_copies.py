"""Repositories that are copied, moved or restored: each run has one clone that executes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)


@pytest.fixture
def waiting(project: Path, tmp_path: Path) -> Path:
    """Return a repository with a run that waits, and says where it was executed."""
    config = f"tasks: [{{id: one, command: 'pwd >> {tmp_path}/places'}}]\n"
    write(project, "experiments/a.yaml", config)
    commit_files(project, {}, "a config")
    gitorch(project, "ready")
    return project


def clone_of(root: Path) -> str:
    return (root / ".git/gitorch/clone-id").read_text().strip()


def places(root: Path) -> list[str]:
    """Return where runs were executed."""
    path = root.parent / "places"
    return path.read_text().splitlines() if path.exists() else []


def copied(root: Path, *, with_workspace: bool) -> Path:
    copy = root.with_name("copy")
    subprocess.run(["cp", "-a", root, copy], check=True)
    if with_workspace:
        subprocess.run(
            ["cp", "-a", f"{root}.gitorch", f"{copy}.gitorch"], check=True
        )
    return copy


@pytest.mark.parametrize("with_workspace", [True, False])
def test_a_copy_leaves_the_runs_to_the_original(
    waiting: Path, with_workspace: bool
) -> None:
    original = clone_of(waiting)
    copy = copied(waiting, with_workspace=with_workspace)
    gitorch(copy, "run")
    assert places(waiting) == []
    assert clone_of(copy) != original
    [run] = gitorch_json(copy, "status")["runs"]
    assert run["why"] == "it belongs to another clone"
    assert "gitorch adopt" in gitorch(copy, "run", run["id"], code=4).stderr
    gitorch(waiting, "run")
    assert clone_of(waiting) == original
    assert places(waiting) == [f"{waiting}.gitorch/{run['id']}/tree"]


@pytest.mark.parametrize("with_workspace", [True, False])
def test_a_copy_can_adopt_a_run_and_queue_its_own(
    waiting: Path, with_workspace: bool
) -> None:
    copy = copied(waiting, with_workspace=with_workspace)
    [run] = gitorch_json(copy, "status")["runs"]
    gitorch(copy, "adopt", run["id"])
    gitorch(copy, "ready", "--again")
    gitorch(copy, "run")
    assert len(places(waiting)) == 2
    assert all(place.startswith(f"{copy}.gitorch/") for place in places(waiting))
    assert git(waiting, "worktree", "list") != ""
    gitorch(waiting, "run")
    assert len(places(waiting)) == 3


def test_the_worker_of_the_original_is_not_touched(
    project: Path, tmp_path: Path
) -> None:
    command = (
        f"touch {tmp_path}/begun; until test -f {tmp_path}/go; do sleep 0.05; done"
    )
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: one, command: '{command}'}}]\n",
    )
    commit_files(project, {}, "a config")
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    copy = copied(project, with_workspace=True)
    for verb in (["status"], ["run"], ["collect"], ["doctor", "--fix"]):
        gitorch(copy, *verb, code=None)
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 1
    (tmp_path / "go").touch()
    _, stderr = worker.communicate(timeout=30)
    assert worker.returncode == 0, stderr
    assert gitorch_json(project, "list")["runs"][0]["status"] == "COMPLETE"


def test_a_moved_repository_keeps_its_runs(waiting: Path) -> None:
    before = clone_of(waiting)
    moved = waiting.with_name("moved")
    waiting.rename(moved)
    Path(f"{waiting}.gitorch").rename(f"{moved}.gitorch")
    gitorch(moved, "run")
    assert clone_of(moved) == before
    assert len(places(moved)) == 1


def test_a_restored_backup_keeps_its_runs(waiting: Path) -> None:
    """The directory has another inode, and another path is not involved."""
    before = clone_of(waiting)
    backup = copied(waiting, with_workspace=False)
    shutil.rmtree(waiting)
    backup.rename(waiting)
    gitorch(waiting, "run")
    assert clone_of(waiting) == before
    assert len(places(waiting)) == 1


def test_a_copy_whose_original_is_gone_is_a_move(waiting: Path) -> None:
    before = clone_of(waiting)
    copy = copied(waiting, with_workspace=True)
    shutil.rmtree(waiting)
    gitorch(copy, "run")
    assert clone_of(copy) == before
    assert len(places(copy)) == 1


def test_a_copy_of_a_copy_is_another_clone(waiting: Path) -> None:
    first = copied(waiting, with_workspace=False)
    gitorch(first, "status")
    second = first.with_name("second")
    subprocess.run(["cp", "-a", first, second], check=True)
    gitorch(second, "status")
    assert len({clone_of(root) for root in (waiting, first, second)}) == 3


def test_two_repositories_with_one_state_directory_are_refused(
    waiting: Path,
) -> None:
    copy = copied(waiting, with_workspace=False)
    shutil.rmtree(copy / ".git/gitorch")
    (copy / ".git/gitorch").symlink_to(waiting / ".git/gitorch")
    assert "use the same state directory" in gitorch(copy, "run", code=4).stderr
    gitorch(waiting, "run")
    assert len(places(waiting)) == 1


def test_another_state_directory_for_the_same_repository_is_refused(
    waiting: Path, tmp_path: Path
) -> None:
    setting = f"gitorch.stateDir={tmp_path}/state"
    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": setting.split("=")[0],
        "GIT_CONFIG_VALUE_0": setting.split("=")[1],
    }
    for verb in ("run", "status"):
        refused = gitorch(waiting, verb, env=env, code=4)
        assert "git config --unset gitorch.stateDir" in refused.stderr
    gitorch(waiting, "run")
    assert len(places(waiting)) == 1


def test_a_repository_with_a_state_directory_elsewhere_is_moved(
    project: Path, tmp_path: Path
) -> None:
    git(project, "config", "gitorch.stateDir", str(tmp_path / "state"))
    config = f"tasks: [{{id: one, command: 'pwd >> {tmp_path}/places'}}]\n"
    write(project, "experiments/a.yaml", config)
    commit_files(project, {}, "a config")
    gitorch(project, "ready")
    copy = copied(project, with_workspace=False)
    gitorch(copy, "run")
    assert places(project) == []
    moved = project.with_name("moved")
    project.rename(moved)
    gitorch(moved, "run")
    assert len(places(moved)) == 1
    git(moved, "config", "--unset", "gitorch.stateDir")
    gitorch(moved, "run", code=4)


def test_a_large_file_that_is_missing_keeps_back_no_other(
    project: Path, tmp_path: Path
) -> None:
    command = "echo 123456789012 > {outputDir}/large; echo 1 > {outputDir}/small"
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: one, command: '{command}'}}]\n",
    )
    commit_files(project, {}, "a config")
    git(project, "config", "gitorch.largeFile", "10")
    gitorch(project, "run", "experiments")
    away = tmp_path / "away"
    away.mkdir()
    for store in ("lfs/objects", "gitorch/objects"):
        objects = project / ".git" / store
        if objects.exists():
            objects.rename(away / store.split("/")[0])
    result = gitorch(project, "checkout-run", "a")
    assert "warning: outputs/large is missing" in result.stderr
    [directory] = Path(result.stdout.strip()).glob("run-*")
    assert (directory / "outputs/small").read_text() == "1\n"
    assert (directory / "outputs/large").read_text().startswith("version ")
    (directory / "outputs/small").write_text("mine\n")
    for store in ("lfs/objects", "gitorch/objects"):
        moved = away / store.split("/")[0]
        if moved.exists():
            shutil.rmtree(project / ".git" / store, ignore_errors=True)
            moved.rename(project / ".git" / store)
    gitorch(project, "checkout-run", "a")
    assert (directory / "outputs/large").read_text() == "123456789012\n"
    assert (directory / "outputs/small").read_text() == "mine\n"


def test_paths_that_are_not_utf8_are_refused_before_anything_is_queued(
    waiting: Path, tmp_path: Path
) -> None:
    name = os.fsdecode(b"caf\xe9")
    odd = tmp_path / name
    waiting.rename(odd)
    for verb in ("ready", "run", "list", "check"):
        assert "is not UTF-8" in gitorch(odd, verb, code=4).stderr
    odd.rename(waiting)
    env = {"GITORCH_WORKSPACE": str(odd)}
    assert "is not UTF-8" in gitorch(waiting, "run", env=env, code=None).stderr
    git(waiting, "config", "gitorch.stateDir", str(odd))
    assert "is not UTF-8" in gitorch(waiting, "run", code=4).stderr
    assert places(waiting) == []
