"""A repository on a shared file system, whose queue is on the local disk of one of two machines.

The tests need root: the second machine is a process with a name and a local disk of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, gitorch_json, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

SECOND = 'mount -t tmpfs none "$0" && hostname login2 && exec "$@"'


def gitorch_on_second(
    disk: Path, root: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run gitorch in `root` on another machine, whose local disk is empty."""
    program = [sys.executable, "-m", "gitorch", *arguments]
    spaces = ["unshare", "--mount", "--uts"]
    return subprocess.run(
        [*spaces, "sh", "-c", SECOND, str(disk), *program],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def disk(project: Path, tmp_path: Path) -> Path:
    """The local disk that each of the machines has at this path. The first has the queue."""
    disk = tmp_path / "local"
    disk.mkdir()
    git(project, "config", "gitorch.stateDir", str(disk / "state"))
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    return disk


@pytest.mark.parametrize("command", ["ready", "run", "status", "list"])
def test_another_machine_says_where_the_queue_is(
    project: Path, disk: Path, command: str
) -> None:
    refused = gitorch_on_second(disk, project, command)
    assert refused.returncode == 4, refused.stderr
    where = f"the queue of this repository is on the machine {os.uname().nodename}"
    assert f"{where}, in {disk}/state/" in refused.stderr
    gitorch(project, "run")
    (run,) = gitorch_json(project, "list")["runs"]
    assert run["status"] == "COMPLETE"


def test_another_machine_with_another_setting_creates_no_second_queue(
    project: Path, disk: Path, tmp_path: Path
) -> None:
    for setting in (str(tmp_path / "other"), None):
        if setting is None:
            git(project, "config", "--unset", "gitorch.stateDir")
        else:
            git(project, "config", "gitorch.stateDir", setting)
        refused = gitorch_on_second(disk, project, "ready")
        assert refused.returncode == 4, refused.stderr
        assert "the queue of this repository is on the machine" in refused.stderr


def test_a_machine_that_is_gone_can_be_replaced(project: Path, disk: Path) -> None:
    (project / ".git/gitorch/state-host").unlink()
    done = gitorch_on_second(disk, project, "run")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(disk / "state")
    refused = gitorch(project, "run", code=4).stderr
    assert "the queue of this repository is on the machine login2" in refused
