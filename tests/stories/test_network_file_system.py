"""queue.db where SQLite's WAL is unsafe. Needs root: a table of mounts is laid over the kernel's, for one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import git, gitorch_json, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

# The shell becomes the program, so that the file it covers is the program's own.
COVERED = 'mount --bind "$0" /proc/$$/mountinfo && exec "$@"'


def gitorch_on(kind: str, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """gitorch in `root`, with the repository on a file system of this kind as far as it can tell."""
    table = root.parent / "mountinfo"
    table.write_text(
        f"24 1 254:0 / / rw - ext4 /dev/vda rw\n25 24 0:50 / {os.path.realpath(root)} rw - {kind} somewhere rw\n"
    )
    program = [sys.executable, "-m", "gitorch", *arguments]
    command = ["unshare", "--mount", "sh", "-c", COVERED, str(table), *program]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_queue_is_refused_there_and_can_be_moved(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    refused = gitorch_on("nfs4", project, "ready")
    assert refused.returncode == 4, refused.stderr
    assert "network file system (nfs4)" in refused.stderr
    assert "git config gitorch.stateDir ~/.local/state/gitorch" in refused.stderr
    assert git(project, "branch", "--list", "gitorch/results") == "", (
        "nothing was recorded that cannot be queued"
    )
    git(project, "config", "gitorch.stateDir", str(project.parent / "state"))
    for command in ("ready", "run"):
        done = gitorch_on("nfs4", project, command)
        assert done.returncode == 0, done.stderr
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == ["COMPLETE"]


def test_the_same_on_a_disk_of_this_machine(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    done = gitorch_on("ext4", project, "ready")
    assert done.returncode == 0, done.stderr
