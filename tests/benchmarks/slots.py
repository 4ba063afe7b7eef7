"""The time of an attempt in a slot against that of a bare Popen with a log, interleaved.

    python tests/benchmarks/slots.py [attempts] [rounds]

Aim: at most 0.15 ms more, for every program.
"""

from __future__ import annotations

import os
import secrets
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gitorch.engines.contract import Order
from gitorch.engines.local import LocalEngine

PROGRAMS = {
    "true": ["/bin/true"],
    "python": [sys.executable, "-I", "-S", "-c", "pass"],
}


Way = Callable[[Path, Sequence[str], int, int], float]


def by_popen(
    room: Path, argv: Sequence[str], attempts: int, at_a_time: int
) -> float:
    """Execute the attempts with Popen. Return the seconds taken."""
    directories = [make_directory(room) for _ in range(attempts)]
    began = time.perf_counter()
    running: dict[int, subprocess.Popen[bytes]] = {}
    for directory in directories:
        if len(running) == at_a_time:
            reap(running)
        with (directory / "log.txt").open("ab") as log:
            started = subprocess.Popen(
                argv,
                cwd=room,
                env=dict(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running[started.pid] = started
    while running:
        reap(running)
    return time.perf_counter() - began


def reap(running: dict[int, subprocess.Popen[bytes]]) -> None:
    """Wait until one of the processes has ended, and remove it from `running`."""
    pid, status = os.waitpid(-1, 0)
    running.pop(pid).returncode = os.waitstatus_to_exitcode(status)


def by_slots(
    room: Path, argv: Sequence[str], attempts: int, at_a_time: int
) -> float:
    """Execute the attempts in slots. Return the seconds taken."""
    with LocalEngine(at_a_time, room / "lock") as engine:
        # The first attempt of each slot includes the start of the slot.
        execute(engine, room, PROGRAMS["true"], at_a_time)
        return execute(engine, room, argv, attempts)


def execute(
    engine: LocalEngine, room: Path, argv: Sequence[str], attempts: int
) -> float:
    """Execute the attempts with `engine`. Return the seconds taken."""
    directories = [make_directory(room) for _ in range(attempts)]
    began = time.perf_counter()
    ended = 0
    with selectors.DefaultSelector() as selector:
        for descriptor in engine.descriptors():
            selector.register(descriptor, selectors.EVENT_READ)
        while ended < attempts:
            while directories and engine.free():
                directory = directories.pop()
                engine.submit(
                    Order(
                        token=directory.name,
                        directory=directory,
                        argv=argv,
                        cwd=room,
                        env=dict(os.environ),
                    )
                )
            selector.select()
            ended += len(engine.poll())
    return time.perf_counter() - began


def make_directory(room: Path) -> Path:
    directory = room / secrets.token_hex(8)
    directory.mkdir()
    return directory


def main(attempts: int = 200, rounds: int = 7) -> None:
    for name, argv in PROGRAMS.items():
        for at_a_time in (1, 2):
            popen_ms = []
            slots_ms = []
            for _ in range(rounds):
                popen_ms.append(measure(by_popen, argv, attempts, at_a_time))
                slots_ms.append(measure(by_slots, argv, attempts, at_a_time))
            popen = min(popen_ms)
            slots = min(slots_ms)
            print(
                f"{name:7}{at_a_time} at a time: Popen {popen:.2f} ms, slots {slots:.2f} ms, "
                f"{slots - popen:+.2f} ms, ratio {slots / popen:.2f}"
            )


def measure(way: Way, argv: Sequence[str], attempts: int, at_a_time: int) -> float:
    """Return the milliseconds for each attempt, in a new directory."""
    with tempfile.TemporaryDirectory() as room:
        return 1000 * way(Path(room), argv, attempts, at_a_time) / attempts


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
