"""Workspaces in directories that several users share: nobody else can read or replace anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, write

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")


@pytest.fixture
def shared(project: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a directory like /tmp, with the workspace of a project that has a config."""
    config = 'tasks: [{id: one, command: "echo 1 > {outputDir}/one; chmod 755 {outputDir}/one"}]\n'
    write(project, "experiments/a.yaml", config)
    commit_files(project, {"script.sh": "true\n"}, "a config")
    root = tmp_path / "shared"
    root.mkdir()
    root.chmod(0o1777)
    git(project, "config", "gitorch.workspace", str(root))
    before = os.umask(0)
    yield root
    os.umask(before)


def workspace_in(root: Path) -> Path:
    [workspace] = root.iterdir()
    return workspace


def is_closed(path: Path, top: Path) -> bool:
    """Return True if other users cannot read `path`, because of its mode or of one above it."""
    parts = [path, *path.parents]
    modes = [part.lstat().st_mode for part in parts[: parts.index(top) + 1]]
    return any(mode & 0o077 == 0 for mode in modes)


def test_nobody_else_reads_state_workspace_and_logs(
    project: Path, shared: Path
) -> None:
    gitorch(project, "ready")
    gitorch(project, "run")
    workspace = workspace_in(shared)
    state = project / ".git/gitorch"
    for top in (workspace, state):
        paths = [top, *top.rglob("*")]
        assert [path for path in paths if not is_closed(path, top)] == []
    for name in ("queue.db", "queued-runs", "clone-id", "lock"):
        assert (state / name).stat().st_mode & 0o777 == 0o600
    listing = git(project, "ls-tree", "-r", "gitorch/results")
    assert [line[:6] for line in listing.splitlines() if line.endswith("/one")] == [
        "100755"
    ]


def test_a_worktree_has_the_modes_that_git_gives(
    project: Path, shared: Path
) -> None:
    gitorch(project, "ready")
    [script] = workspace_in(shared).rglob("tree/script.sh")
    assert (
        script.stat().st_mode & 0o777 == 0o666
    )  # as with any checkout without a umask
    gitorch(project, "run")


def test_what_an_earlier_version_left_open_is_closed(
    project: Path, shared: Path
) -> None:
    gitorch(project, "ready")
    workspace = workspace_in(shared)
    state = project / ".git/gitorch"
    for path in (workspace, state):
        path.chmod(0o755)
    (state / "queue.db").chmod(0o644)
    gitorch(project, "run")
    for path, mode in (
        (workspace, 0o700),
        (state, 0o700),
        (state / "queue.db", 0o600),
    ):
        assert path.stat().st_mode & 0o777 == mode


def test_a_workspace_that_was_replaced_by_a_link_is_refused(
    project: Path, shared: Path, tmp_path: Path
) -> None:
    gitorch(project, "ready")
    workspace = workspace_in(shared)
    elsewhere = tmp_path / "elsewhere"
    workspace.rename(elsewhere)
    workspace.symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    for verb in (["run"], ["collect"], ["ready", "--again"]):
        assert "is a link to" in gitorch(project, *verb, code=4).stderr
    assert sorted(elsewhere.rglob("*")) == before


@needs_root
def test_a_workspace_of_another_user_is_refused(
    project: Path, shared: Path
) -> None:
    gitorch(project, "ready")
    os.chown(workspace_in(shared), 12345, 12345)
    assert "belongs to another user" in gitorch(project, "run", code=4).stderr


def test_a_shared_directory_without_the_sticky_bit_is_refused(
    project: Path, shared: Path
) -> None:
    shared.chmod(0o777)
    refused = gitorch(project, "ready", code=4)
    assert f"chmod +t {shared}" in refused.stderr
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/x", "/dev/full", "/etc/passwd/x"])
@pytest.mark.parametrize("task", ["command: 'true'", "method: Train"])
def test_a_place_that_can_hold_no_workspace_is_named(
    project: Path, place: str, task: str
) -> None:
    tasks = "class Train:\n def __init__(self, c): pass\n def run(self): pass\n"
    config = f"tasks: [{{id: one, {task}}}]\n"
    commit_files(project, {"Tasks.py": tasks, "a.yaml": config})
    env = {"GITORCH_WORKSPACE": place}
    refused = gitorch(project, "run", "a.yaml", code=None, env=env)
    assert refused.returncode in (1, 4, 5)
    assert place.removesuffix("/x") in refused.stderr
    assert "bug" not in refused.stderr
    assert "chmod" not in refused.stderr


@pytest.mark.parametrize("name", ["trash", "scratch", "templates"])
def test_a_link_that_a_task_left_in_the_workspace_is_not_followed(
    project: Path, shared: Path, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "precious"
    (precious / "old").mkdir(parents=True)
    (precious / "old" / "file").touch()
    os.utime(precious / "old", (0, 0))
    gitorch(project, "ready")
    place = workspace_in(shared) / name
    if place.exists():
        place.rename(tmp_path / "moved")
    place.symlink_to(precious)
    for verb in ("run", "collect"):
        gitorch(project, verb, code=4)
    assert (precious / "old" / "file").exists()


def test_the_state_directory_that_is_chosen_is_closed_too(
    project: Path, shared: Path
) -> None:
    git(project, "config", "gitorch.stateDir", str(shared / "state"))
    (shared / "state").mkdir()
    (shared / "state").chmod(0o1777)
    gitorch(project, "ready")
    [state] = (shared / "state").iterdir()
    assert state.stat().st_mode & 0o777 == 0o700
    state.rename(shared / "moved")
    state.symlink_to(shared / "moved")
    assert "is a link to" in gitorch(project, "run", code=4).stderr
