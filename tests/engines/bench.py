"""What the tests of engines share: orders, and waiting for their ends."""

from __future__ import annotations

import os
import secrets
import selectors
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gitorch.engines.contract import Ended, Engine, Order
from gitorch.tools import process

PATIENCE_S = 20.0

Found = TypeVar("Found")


def order(
    parent: Path,
    *argv: str,
    timeout_s: float | None = None,
    grace_s: float = 0.2,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Order:
    """Return an order with a directory below `parent`; all its processes have its token."""
    token = secrets.token_hex(16)
    directory = parent / token
    directory.mkdir()
    return Order(
        token=token,
        directory=directory,
        argv=argv,
        cwd=cwd or parent,
        env={"PATH": os.environ["PATH"], "GITORCH_TOKEN": token, **(env or {})},
        timeout_s=timeout_s,
        grace_s=grace_s,
    )


def shell(parent: Path, script: str, **how: object) -> Order:
    return order(parent, "sh", "-c", script, **how)  # type: ignore[arg-type]


def python(parent: Path, script: str, **how: object) -> Order:
    return order(parent, sys.executable, "-I", "-S", "-c", script, **how)  # type: ignore[arg-type]


def log_of(order: Order) -> str:
    return (order.directory / "log.txt").read_text()


def next_ends(engine: Engine, count: int) -> list[Ended]:
    """Wait until `count` attempts have ended."""
    ends: list[Ended] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(ends) < count:
        assert time.monotonic() < deadline, (
            f"{len(ends)} of {count} attempts ended: {ends}"
        )
        with selectors.DefaultSelector() as selector:
            for descriptor in engine.descriptors():
                selector.register(descriptor, selectors.EVENT_READ)
            selector.select(
                PATIENCE_S
                if engine.poll_interval_s is None
                else engine.poll_interval_s
            )
        ends += engine.poll()
    return ends


def carry_out(engine: Engine, orders: Sequence[Order]) -> dict[str, Ended]:
    """Carry out all orders, as many at a time as the engine takes. Return the ends by token."""
    waiting = list(orders)
    ends: list[Ended] = []
    while len(ends) < len(orders):
        while waiting and engine.free():
            engine.submit(waiting.pop(0))
        ends += next_ends(engine, 1)
    return {ended.token: ended for ended in ends}


def eventually(what: Callable[[], Found]) -> Found:
    """Call `what` until it returns something true, and return that."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found


def pids_in(directory: Path) -> list[int]:
    """Return the pids that attempts left as names of files."""
    return [int(path.name) for path in directory.iterdir()]


def living(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if process.process_of(pid)]
