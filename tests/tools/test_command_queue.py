from __future__ import annotations

import os
import time
from pathlib import Path

from gitorch.tools.command_queue import CommandQueue
from tests.conftest import wait_for


def queue_of(
    command: str, directory: Path, said: list[str], limit_s: float = 20.0
) -> CommandQueue:
    environment = {"PATH": os.environ["PATH"]}
    return CommandQueue(
        command, directory, environment, said.append, limit_s=limit_s
    )


def test_the_command_runs_for_each_set_of_variables_in_order(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    queue = queue_of('echo "$WHAT" >> told', tmp_path, said)
    for what in ("one", "$(touch owned); `touch owned`", "'\"\\ *"):
        queue.add({"WHAT": what})
    queue.close({"WHAT": "last"})
    told = (tmp_path / "told").read_text()
    assert told == "one\n$(touch owned); `touch owned`\n'\"\\ *\nlast\n"
    assert [path.name for path in tmp_path.iterdir()] == ["told"]
    assert said == []


def test_a_failure_is_reported_once_with_the_last_line(tmp_path: Path) -> None:
    said: list[str] = []
    queue = queue_of("echo first; echo $WHAT >&2; exit 3", tmp_path, said)
    queue.add({"WHAT": "no network"})
    queue.add({"WHAT": "still none"})
    queue.close({})
    assert said == ["it exited with 3: no network"]


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    said: list[str] = []
    command = "trap '' TERM; sleep 60 & echo $! > child; wait"
    queue = queue_of(command, tmp_path, said, limit_s=0.3)
    before = time.monotonic()
    queue.add({})
    wait_for((tmp_path / "child").exists)
    for _ in range(200):
        queue.add({})
    assert time.monotonic() - before < 10, "add never waits"
    queue.close(None)
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: _is_gone(child))
    assert said[0] == "it was ended after 0.3 s"
    assert said[1].startswith("it was left out ")
    assert said[1].endswith(" times, because it takes too long")


def test_a_command_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    said: list[str] = []
    queue = queue_of("true", tmp_path / "gone", said)
    queue.close({})
    assert len(said) == 1
    assert said[0].startswith("it cannot be started: ")


def test_a_program_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    queue = queue_of("sleep 2 & exit 0", tmp_path, said)
    before = time.monotonic()
    queue.close({})
    assert time.monotonic() - before < 1.5
    assert said == []


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True
