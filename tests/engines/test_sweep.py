"""The last resort ends what is left of an attempt, and nothing else."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gitorch.engines.sweep import TOKEN, sweep
from gitorch.tools.process import process_of

SLEEP = ("sleep", "600")


class Survivors:
    """Processes such as a dead worker leaves."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def start(
        self, *argv: str, token: str | None = None, **how: Any
    ) -> subprocess.Popen[bytes]:
        env = {
            "PATH": os.environ["PATH"],
            **({} if token is None else {TOKEN: token}),
        }
        process = subprocess.Popen(
            argv or SLEEP, env=env, start_new_session=True, **how
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


@pytest.fixture
def survivors() -> Iterator[Survivors]:
    with ExitStack() as stack:
        yield Survivors(stack)


@pytest.fixture
def token() -> str:
    return secrets.token_hex(16)


def test_processes_are_found_by_their_token(
    survivors: Survivors, token: str, tmp_path: Path
) -> None:
    ours = [survivors.start(token=token) for _ in range(2)]
    others = [
        survivors.start(token=secrets.token_hex(16)),
        survivors.start(token=token + "0"),
        survivors.start(),
    ]
    assert sweep({token: tmp_path}) == 2
    assert [process.wait(5) for process in ours] == [-15, -15]
    assert [process.poll() for process in others] == [None, None, None]
    assert sweep({token: tmp_path}) == 0


def test_processes_are_found_by_the_log_that_they_have_open_for_writing(
    survivors: Survivors, token: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    with log.open("ab") as file:
        writer = survivors.start(stdout=file)
    with log.open("rb") as file:
        reader = survivors.start(stdin=file)
    assert sweep({token: tmp_path}) == 1
    assert writer.wait(5) == -15
    assert reader.poll() is None


def test_processes_are_found_by_the_pipe_that_they_can_write_to(
    survivors: Survivors, token: str, tmp_path: Path
) -> None:
    (tmp_path / "log.txt").touch()
    reader, writer = os.pipe()
    others = os.pipe()
    (tmp_path / "pipe").write_text(str(os.fstat(writer).st_ino))
    writes = survivors.start(stderr=writer)
    reads = survivors.start(stdin=reader)
    foreign = survivors.start(stdout=others[1])
    assert sweep({token: tmp_path}) == 1
    assert writes.wait(5) == -15
    assert [reads.poll(), foreign.poll()] == [None, None]
    for descriptor in (reader, writer, *others):
        os.close(descriptor)


def test_descendants_without_a_token_are_found(
    survivors: Survivors, token: str, tmp_path: Path
) -> None:
    script = "env -i sleep 600 & echo $!; wait"
    marked = survivors.start(
        "sh", "-c", script, token=token, stdout=subprocess.PIPE
    )
    assert marked.stdout is not None
    child = int(marked.stdout.readline())
    marked.stdout.close()
    assert sweep({token: tmp_path}) >= 2
    assert process_of(child) is None


def test_a_process_that_ignores_the_signal_is_killed_after_the_grace(
    survivors: Survivors, token: str, tmp_path: Path
) -> None:
    stubborn = survivors.start(
        "sh",
        "-c",
        "trap '' TERM; echo up; sleep 600; sleep 600",
        token=token,
        stdout=-1,
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    stubborn.stdout.close()
    assert sweep({token: tmp_path}, grace_s=0.1) >= 1
    assert stubborn.wait(5) == -9


def test_the_sweeping_process_and_its_ancestors_are_spared(
    token: str, tmp_path: Path
) -> None:
    """A user's shell may have a task's environment, because the user tries something out."""
    script = (
        "import sys; from pathlib import Path; from gitorch.engines.sweep import sweep\n"
        f"print(sweep({{{token!r}: Path({str(tmp_path)!r})}}))"
    )
    done = subprocess.run(
        [
            "sh",
            "-c",
            'sleep 600 & "$0" -c "$1"; kill $! 2>/dev/null; echo lives',
            sys.executable,
            script,
        ],
        env={
            "PATH": os.environ["PATH"],
            TOKEN: token,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "lives"]


def test_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep({}) == 0
    assert sweep({"no-such-token": tmp_path / "gone"}) == 0
