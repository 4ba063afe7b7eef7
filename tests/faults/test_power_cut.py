"""The power is cut right after gitorch said that something is done: it is still there.

The repository lies on an ext4 in a file, mounted through a loop device; the queue on another one, lest the flush of one
carries the other along. The files are copied while all is mounted and running, and the copies mounted: they hold what
the kernel had sent to the disk, not what it kept in memory. That a disk has a cache of its own, which it may lose, is
not simulated (it would take the device mapper, which not every kernel has). Each test writes something without flushing
it, and checks that this at least was lost.

Needs root, to mount.
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

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, wait_for, write
from tests.faults.test_faults import assert_sound_at, statuses

# Nothing but what is flushed goes to the disk for as long as a test takes.
OPTIONS = "loop,commit=600,noatime"


class Disks:
    """Two file systems, and their files as they would be after a power cut."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.names = ("repository", "state")

    def mount(self, suffix: str = "image") -> None:
        for name in self.names:
            (self.place / name).mkdir(exist_ok=True)
            image = self.place / f"{name}.{suffix}"
            subprocess.run(
                ["mount", "-o", OPTIONS, image, self.place / name], check=True, capture_output=True
            )

    def unmount(self) -> None:
        for name in self.names:
            subprocess.run(["umount", "-l", self.place / name], check=False, capture_output=True)

    def cut(self) -> None:
        for name in self.names:
            (self.place / name / "not flushed").write_text("lost")
        for name in self.names:
            files = [self.place / f"{name}.{suffix}" for suffix in ("image", "cut")]
            subprocess.run(["cp", "--sparse=always", *files], check=True)

    def restart(self) -> None:
        """What ran is gone, the disks hold what they held at the cut, and it is another boot."""
        self.unmount()
        self.mount("cut")
        for name in self.names:
            assert not (self.place / name / "not flushed").exists(), "nothing was simulated"
        for queue in self.place.glob("state/*/queue.db"):
            with closing(sqlite3.connect(queue)) as database, database:
                database.execute("UPDATE workers SET boot = 'before'")
        for mark in self.place.glob("repository/project/.git/worktrees/*/gitorch.json"):
            mark.write_text(re.sub('"boot": "[^"]*"', '"boot": "before"', mark.read_text()))


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    disks = Disks(tmp_path)
    for name in disks.names:
        with (tmp_path / f"{name}.image").open("wb") as image:
            image.truncate(64 << 20)
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", tmp_path / f"{name}.image"], check=True, capture_output=True
        )
    disks.mount()
    yield disks
    disks.unmount()


@pytest.fixture
def root(disks: Disks, tmp_path: Path) -> Path:
    root = disks.place / "repository" / "project"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "config", "gitorch.stateDir", str(disks.place / "state"))
    git(root, "config", "gitorch.largeFile", "1000")
    git(root, "config", "core.fsync", "all")  # the user's own commit is not what is tested
    commit_files(root, {"README.md": "A project.\n"})
    subprocess.run(["sync", "-f", root], check=True)
    return root


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a process; a thread of it may be flushing just then, and stops when it has done that."""
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task")
    wait_for(
        lambda: all(
            (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
            for thread in threads.iterdir()
        )
    )


@pytest.mark.alone
def test_after_ready(disks: Disks, root: Path) -> None:
    write(root, "experiments/a.yaml", "tasks: [{id: t, command: echo done}]\n")
    write(root, "README.md", "Changed, and only in the snapshot.\n")
    [queued] = gitorch_json(root, "ready", "--snapshot")["queued"]
    disks.cut()
    disks.restart()
    assert [(run["id"], run["status"]) for run in gitorch_json(root, "list")["runs"]] == [
        (queued["id"], "WAITING")
    ]
    gitorch(root, "run")
    assert statuses(root) == {"a": "COMPLETE"}
    assert git(
        root, "show", f"{gitorch_json(root, 'show', 'a')['run']['pin']['commit']}:README.md"
    ).startswith("Changed")
    assert_sound_at(root)


@pytest.mark.alone
def test_after_run_has_said_that_a_task_is_complete(
    disks: Disks, root: Path, tmp_path: Path
) -> None:
    """At that very moment, with the next task begun."""
    first = (
        f"echo s >> {tmp_path}/first; seq 2000 > {{outputDir}}/large; echo 1 > {{outputDir}}/small"
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
    stop(worker)  # lest a later flush carries along what was not flushed when it spoke
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
    assert (tmp_path / "first").read_text() == "s\n", "it did not run again"
    sizes = {
        output["path"]: output["size"]
        for output in gitorch_json(root, "show", "a")["run"]["outputs"]
    }
    assert sizes == {"large": 8893, "small": 2}
    assert_sound_at(root)


@pytest.mark.alone
def test_after_a_verb(disks: Disks, root: Path) -> None:
    for name in ("a", "b"):
        write(
            root,
            f"experiments/{name}.yaml",
            f"name: {name}\ntasks: [{{id: t, command: echo done}}]\n",
        )
    gitorch(root, "ready")
    gitorch(root, "hold", "a")
    gitorch(root, "kill", "b")
    disks.cut()
    disks.restart()
    gitorch(root, "run")
    assert statuses(root) == {"a": "HOLD"}
    gitorch(root, "release", "a")
    gitorch(root, "run")
    assert statuses(root) == {"a": "COMPLETE"}
    assert_sound_at(root)
