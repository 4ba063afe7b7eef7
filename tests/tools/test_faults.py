"""A process kills itself at the durable boundary that the environment names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import tests.dying
from gitorch.tools.faults import boundary
for n in range(4):
    print(n, flush=True)
    boundary()
"""


def passed(**env: str) -> tuple[int, list[str]]:
    """Return the exit code of a process, and how many boundaries it passed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.split()


def test_the_process_that_passes_the_last_boundary_dies_there(
    tmp_path: Path,
) -> None:
    count = tmp_path / "count"
    assert passed(GITORCH_DIE_AT=f"6:{count}") == (0, ["0", "1", "2", "3"])
    assert passed(GITORCH_DIE_AT=f"6:{count}") == (-signal.SIGKILL, ["0", "1"])
    assert passed(GITORCH_DIE_AT=f"6:{count}") == (0, ["0", "1", "2", "3"]), (
        "one dies, others go on"
    )
    assert count.stat().st_size == 10


def test_no_process_dies_unless_asked_to() -> None:
    assert passed() == (0, ["0", "1", "2", "3"])
