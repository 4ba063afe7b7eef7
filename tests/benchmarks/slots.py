"""An attempt in a slot against a bare Popen with a log, interleaved.

    python tests/benchmarks/slots.py [attempts] [rounds]

Aim: 0.15 ms more, whatever the program.
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

PROGRAMS = {"true": ["/bin/true"], "python": [sys.executable, "-I", "-S", "-c", "pass"]}


def by_popen(place: Path, argv: Sequence[str], attempts: int, at_a_time: int) -> float:
    directories = [make_directory(place) for _ in range(attempts)]
    began = time.perf_counter()
    running: dict[int, subprocess.Popen[bytes]] = {}
    for directory in directories:
        if len(running) == at_a_time:
            forget(running)
        with (directory / "log.txt").open("ab") as log:
            started = subprocess.Popen(
                argv,
                cwd=place,
                env=dict(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running[started.pid] = started
    while running:
        forget(running)
    return time.perf_counter() - began


def forget(running: dict[int, subprocess.Popen[bytes]]) -> None:
    pid, status = os.waitpid(-1, 0)
    running.pop(pid).returncode = os.waitstatus_to_exitcode(status)


def by_slots(place: Path, argv: Sequence[str], attempts: int, at_a_time: int) -> float:
    with LocalEngine(at_a_time, place / "lock") as engine:
        carry_out(engine, place, PROGRAMS["true"], at_a_time)  # until the slots are up
        return carry_out(engine, place, argv, attempts)


def carry_out(engine: LocalEngine, place: Path, argv: Sequence[str], attempts: int) -> float:
    directories = [make_directory(place) for _ in range(attempts)]
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
                        cwd=place,
                        env=dict(os.environ),
                    )
                )
            selector.select()
            ended += len(engine.poll())
    return time.perf_counter() - began


def make_directory(place: Path) -> Path:
    directory = place / secrets.token_hex(8)
    directory.mkdir()
    return directory


def main(attempts: int = 200, rounds: int = 7) -> None:
    ways: dict[str, Callable[[Path, Sequence[str], int, int], float]] = {
        "popen": by_popen,
        "slots": by_slots,
    }
    for name, argv in PROGRAMS.items():
        for at_a_time in (1, 2):
            taken: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, run in ways.items():
                    with tempfile.TemporaryDirectory() as place:
                        taken[way].append(
                            run(Path(place), argv, attempts, at_a_time) / attempts * 1000
                        )
            popen, slots = min(taken["popen"]), min(taken["slots"])
            print(
                f"{name:7}{at_a_time} at a time: Popen {popen:.2f} ms, slots {slots:.2f} ms, "
                f"{slots - popen:+.2f} ms, ratio {slots / popen:.2f}"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
