"""A power cut right after gitorch reported success: the result is still there.

The repository is on an ext4 file system in a file, mounted through a loop device. The queue is on
another one, so that a flush of one does not also write data of the other. The files are copied
while both are mounted and in use, then the copies are mounted. The copies hold the data that the
kernel had sent to the disk, without the data that was only in memory. The cache of a disk, which
can be lost as well, is not simulated: that needs the device mapper, which not every kernel has.
Each test writes a file without a flush, and checks that this file is lost.

The tests need root to mount a file system.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
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
from tests.faults.test_faults import assert_sound_at, statuses

# With this commit interval, only explicit flushes write to the disk during a test.
OPTIONS = "loop,commit=600,noatime"


class Disks:
    """Two file systems, and copies of them as they would be after a power cut."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.names = ("repository", "state")

    def mount(self, suffix: str = "image") -> None:
        for name in self.names:
            mountpoint = self.directory / name
            mountpoint.mkdir(exist_ok=True)
            mount = [
                "mount",
                "-o",
                OPTIONS,
                self.directory / f"{name}.{suffix}",
                mountpoint,
            ]
            subprocess.run(mount, check=True, capture_output=True)

    def unmount(self) -> None:
        for name in self.names:
            unmount = ["umount", "-l", self.directory / name]
            subprocess.run(unmount, check=False, capture_output=True)

    def cut(self) -> None:
        """Copy both file systems as they are on the disk now."""
        for name in self.names:
            (self.directory / name / "not flushed").write_text("lost")
        for name in self.names:
            files = [
                self.directory / f"{name}.{suffix}" for suffix in ("image", "cut")
            ]
            subprocess.run(["cp", "--sparse=always", *files], check=True)

    def restart(self) -> None:
        """Mount the copies, and let the queue and the worktrees refer to an earlier boot.

        The caller must have ended its processes before.
        """
        self.unmount()
        self.mount("cut")
        for name in self.names:
            not_flushed = self.directory / name / "not flushed"
            assert not not_flushed.exists(), "no power cut was simulated"
        for queue in self.directory.glob("state/*/queue.db"):
            with closing(sqlite3.connect(queue)) as database, database:
                database.execute("UPDATE workers SET boot = 'before'")
        for owner in self.directory.glob(
            "repository/project/.git/worktrees/*/gitorch.json"
        ):
            owner.write_text(
                re.sub('"boot": "[^"]*"', '"boot": "before"', owner.read_text())
            )


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    disks = Disks(tmp_path)
    for name in disks.names:
        with (tmp_path / f"{name}.image").open("wb") as image:
            image.truncate(64 << 20)
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", tmp_path / f"{name}.image"],
            check=True,
            capture_output=True,
        )
    disks.mount()
    yield disks
    disks.unmount()


@pytest.fixture
def root(disks: Disks, tmp_path: Path) -> Path:
    root = disks.directory / "repository" / "project"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "config", "gitorch.stateDir", str(disks.directory / "state"))
    git(root, "config", "gitorch.largeFile", "1000")
    git(
        root, "config", "core.fsync", "all"
    )  # so that the user's own commit is on the disk
    commit_files(root, {"README.md": "A project.\n"})
    subprocess.run(["sync", "-f", root], check=True)
    return root


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a process, and wait until all its threads are stopped.

    A thread that is flushing stops only after the flush.
    """
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task")
    wait_for(lambda: all(is_stopped(thread) for thread in threads.iterdir()))


def is_stopped(thread: Path) -> bool:
    _, _, fields = (thread / "stat").read_text().rpartition(")")
    return fields.split()[0] == "T"


@pytest.mark.alone
def test_after_ready(disks: Disks, root: Path) -> None:
    write(root, "experiments/a.yaml", "tasks: [{id: t, command: echo done}]\n")
    write(root, "README.md", "Changed, and only in the snapshot.\n")
    [queued] = gitorch_json(root, "ready", "--snapshot")["queued"]
    disks.cut()
    disks.restart()
    [listed] = gitorch_json(root, "list")["runs"]
    assert (listed["id"], listed["status"]) == (queued["id"], "WAITING")
    gitorch(root, "run")
    assert statuses(root) == {"a": "COMPLETE"}
    commit = gitorch_json(root, "show", "a")["run"]["pin"]["commit"]
    assert git(root, "show", f"{commit}:README.md").startswith("Changed")
    assert_sound_at(root)


@pytest.mark.alone
def test_after_run_has_announced_a_complete_task(
    disks: Disks, root: Path, tmp_path: Path
) -> None:
    """The power is cut at the announcement, when the next task has started."""
    first = (
        f"echo s >> {tmp_path}/first; "
        "seq 2000 > {outputDir}/large; echo 1 > {outputDir}/small"
    )
    second = f"test -e {tmp_path}/again || exec sleep 60; cat {{outputDir}}/large | wc -l"
    write(
        root,
        "experiments/a.yaml",
        f"tasks:\n  - {{id: first, command: '{first}'}}\n  - {{id: second, command: '{second}'}}\n",
    )
    gitorch(root, "ready")
    worker = started(root, "run")
    assert worker.stderr is not None
    for line in worker.stderr:
        if "first COMPLETE" in line:
            break
    # Stop the worker, so that no later flush writes data that was not flushed at the announcement.
    stop(worker)
    disks.cut()
    worker.kill()
    worker.communicate(timeout=20)
    disks.restart()
    (tmp_path / "again").touch()
    shown = gitorch_json(root, "show", "a")["run"]
    assert shown["tasks"][0]["status"] == "COMPLETE"
    assert {output["path"]: output["stored"] for output in shown["outputs"]} == {
        "large": "lfs",
        "small": "git",
    }
    gitorch(root, "run")
    assert statuses(root) == {"a": "COMPLETE"}
    assert gitorch(root, "logs", "a", "--task", "second").stdout == "2000\n"
    assert (tmp_path / "first").read_text() == "s\n", (
        "the complete task did not run again"
    )
    outputs = gitorch_json(root, "show", "a")["run"]["outputs"]
    sizes = {output["path"]: output["size"] for output in outputs}
    assert sizes == {"large": 8893, "small": 2}
    assert_sound_at(root)


@pytest.mark.alone
def test_after_a_verb(disks: Disks, root: Path) -> None:
    for name in ("a", "b"):
        write(
            root,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: echo {name}}}]\n",
        )
    gitorch(root, "ready")
    gitorch(root, "hold", "a")
    gitorch(root, "kill", "--yes", "b")
    disks.cut()
    disks.restart()
    gitorch(root, "run")
    assert statuses(root) == {"a": "HOLD"}
    gitorch(root, "release", "a")
    gitorch(root, "run")
    assert statuses(root) == {"a": "COMPLETE"}
    assert_sound_at(root)
