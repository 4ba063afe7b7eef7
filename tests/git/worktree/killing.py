"""A process that works on worktrees until it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_BEGINNING = """
import sys
from pathlib import Path
from gitorch.git.repository import Repository
from gitorch.git.worktree.worktrees import FastWorktrees
worktrees = FastWorktrees(Repository.discover(Path(sys.argv[1])))
print("started", flush=True)
"""


def start(
    program: str, root: Path, *arguments: str | Path
) -> subprocess.Popen[bytes]:
    """Start a program that uses `worktrees`; it has begun when this returns.

    `worktrees` are those of the repository at `root`.
    """
    command = [sys.executable, "-c", _BEGINNING + program, root, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    return process


def kill_after(
    delay_s: float, program: str, root: Path, *arguments: str | Path
) -> None:
    """Start the program and kill it after `delay_s` seconds, while it is still at work."""
    victim = start(program, root, *arguments)
    time.sleep(delay_s)
    assert victim.poll() is None
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
