"""queue.db on a network file system, where SQLite's write-ahead log is unsafe.

The tests need root: they mount a file over the kernel's table of mounts, for one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import git, gitorch_json, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

# The shell replaces itself by the program, so /proc/$$/mountinfo is the program's file.
COVERED = 'mount --bind "$0" /proc/$$/mountinfo && exec "$@"'


def gitorch_on(
    kind: str, root: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run gitorch in `root` with a table of mounts that shows this kind of file system there."""
    table = root.parent / "mountinfo"
    table.write_text(
        "24 1 254:0 / / rw - ext4 /dev/vda rw\n"
        f"25 24 0:50 / {os.path.realpath(root)} rw - {kind} somewhere rw\n"
    )
    program = [sys.executable, "-m", "gitorch", *arguments]
    command = ["unshare", "--mount", "sh", "-c", COVERED, str(table), *program]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_queue_on_a_network_file_system_is_refused_and_can_be_moved(
    project: Path,
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    refused = gitorch_on("nfs4", project, "ready")
    assert refused.returncode == 4, refused.stderr
    assert "network file system (nfs4)" in refused.stderr
    assert "git config gitorch.stateDir ~/.local/state/gitorch" in refused.stderr
    assert git(project, "branch", "--list", "gitorch/results") == "", (
        "no run is recorded that cannot be queued"
    )
    git(project, "config", "gitorch.stateDir", str(project.parent / "state"))
    for command in ("ready", "run"):
        done = gitorch_on("nfs4", project, command)
        assert done.returncode == 0, done.stderr
    assert [run["status"] for run in gitorch_json(project, "list")["runs"]] == [
        "COMPLETE"
    ]


def test_a_queue_on_a_local_disk_is_accepted(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    done = gitorch_on("ext4", project, "ready")
    assert done.returncode == 0, done.stderr
