"""A program counts as ended when it ends, whatever holds its output."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from gitorch.errors import UserInterrupted
from gitorch.tools import programs, waits
from gitorch.tools.programs import TookTooLong, run_program
from tests.conftest import wait_for


def shell(script: str, **options: object) -> tuple[int, bytes, bytes]:
    result = run_program(
        ["sh", "-c", script], env=os.environ, awaited="sh", **options
    )  # type: ignore[arg-type]
    return result.returncode, result.stdout, result.stderr


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_both_outputs_and_the_exit_code() -> None:
    assert shell("echo out; echo error >&2; exit 3") == (3, b"out\n", b"error\n")


def test_output_and_input_larger_than_a_pipe() -> None:
    data = os.urandom(1 << 20)
    assert shell("cat; cat /dev/zero | head -c 1000000 >&2", input=data) == (
        0,
        data,
        bytes(1_000_000),
    )


def test_a_program_that_closes_its_outputs_is_waited_for() -> None:
    code, output, _ = shell("echo out; exec >&- 2>&-; sleep 0.3; exit 4")
    assert (code, output) == (4, b"out\n")


def test_a_daemon_keeps_the_pipes_open() -> None:
    begun = time.monotonic()
    _, output, _ = shell("setsid sleep 30 & echo $!")
    assert time.monotonic() - begun < 10
    os.kill(int(output), signal.SIGKILL)


def test_a_program_that_takes_too_long_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(TookTooLong):
        shell(f"sleep 30 & echo $! >{pids}; wait", bound_s=0.5)
    child = int(pids.read_text())
    wait_for(lambda: not is_running(child))


def test_a_wait_for_a_program_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waits, "GRACE_S", 0.0)
    monkeypatch.setattr(programs, "_LOOK_MS", 10)
    waits.request_stop()
    try:
        with pytest.raises(UserInterrupted):
            shell("sleep 30")
    finally:
        waits.forget_stop()
