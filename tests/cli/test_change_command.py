"""The question that is asked on a terminal before runs are changed that the user did not name."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, gitorch_json, write

CONFIG = """
    tasks:
      - {id: one, command: "true"}
"""


@pytest.fixture
def held(project: Path) -> Path:
    """Return a project that has one held run."""
    write(project, "experiments/a.yaml", CONFIG)
    gitorch(project, "ready", "--hold")
    return project


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x03", b"\x04"])
def test_nothing_is_changed_unless_the_answer_is_yes(
    held: Path, answer: bytes
) -> None:
    tip = git(held, "rev-parse", "gitorch/results")
    assert answered(held, answer) == 130
    assert git(held, "rev-parse", "gitorch/results") == tip


def test_yes_changes_the_runs(held: Path) -> None:
    assert answered(held, b"y\n") == 0
    assert gitorch_json(held, "list")["runs"][0]["status"] == "WAITING"


def answered(root: Path, answer: bytes) -> int:
    """Run `release --all` on a terminal, answer its question, and return the exit code."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gitorch", "release", "--all"],
        cwd=root,
        stdin=end,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(end)
    assert process.stderr is not None
    with process.stderr as stderr:
        said = b""
        while b"?" not in said:
            said += os.read(stderr.fileno(), 4096)
        if answer == b"\x03":
            process.send_signal(signal.SIGINT)
        else:
            os.write(terminal, answer)
        said += stderr.read()
    process.wait(timeout=20)
    os.close(terminal)
    assert b"Traceback" not in said
    assert (b"error: nothing was changed" in said) == (process.returncode != 0)
    return process.returncode
