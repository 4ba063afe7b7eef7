"""The engine of this machine: attempts are processes, seen through by slot supervisors (see `slots`)."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

import gitorch
from gitorch.engines.contract import Ended, Order, recorded_end
from gitorch.engines.sweep import TOKEN, sweep
from gitorch.engines.wire import receive, send
from gitorch.errors import GitorchError
from gitorch.model.run.outcome import Lost, Outcome
from gitorch.tools import clock

_BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
from gitorch.engines.slots import supervise
supervise(int(sys.argv[2]), [int(end) for end in sys.argv[3:]])
"""


class _Submitted(Struct, frozen=True):
    """An order that a slot has, and when we gave it."""

    order: Order
    at: str
    monotonic: float


class _SlotConnection:
    """The worker's side of a slot: what it is at, and which generation of it hears us."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.generation = 0
        self.is_up = False
        self.at: _Submitted | None = None
        self.cancelled = False

    def tell(self, message: dict[str, Any], order: dict[str, Any] | None = None) -> None:
        with suppress(ConnectionError):  # `poll` hears of it too, and knows what to do
            send(self.end, message, order)

    def take(self, order: Order) -> None:
        self.at = _Submitted(order, clock.now(), time.monotonic())
        self.cancelled = False
        self.tell({"generation": self.generation}, _to_json(order))

    def end_as_lost(self, why: str) -> list[Ended]:
        """The end of what was going on in a slot that died: what the attempt recorded, if it came to that."""
        if self.at is None:
            return []
        order, at, monotonic = self.at.order, self.at.at, self.at.monotonic
        self.at = None
        recorded = recorded_end(order.directory, order.token)
        if recorded is not None:
            return [recorded]
        outcome = Lost(message=why)
        duration_s = round(time.monotonic() - monotonic, 6)
        return [Ended.unrecorded(order.token, outcome, started=at, duration_s=duration_s)]


class LocalEngine:
    """`lock` is a file that is locked for as long as this engine or one of its processes lives."""

    poll_interval_s: float | None = None

    def __init__(self, slots: int, lock: Path) -> None:
        self.slots = slots
        self._lock_path = lock
        self._lock = -1
        self._slots: list[_SlotConnection] = []
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._start_supervisor(self.slots)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for slot in self._slots:
            slot.end.close()
        self._slots.clear()
        for supervisor in self._supervisors:
            supervisor.wait()
        os.close(self._lock)
        self._wait_until_unlocked()

    def submit(self, order: Order) -> None:
        if order.token not in self._known:
            next(slot for slot in self._slots if slot.at is None).take(order)
            self._known.add(order.token)

    def poll(self) -> list[Ended]:
        return [ended for slot in list(self._slots) for ended in self._news(slot)]

    def descriptors(self) -> list[int]:
        return [slot.end.fileno() for slot in self._slots]

    def cancel(self, token: str, outcome: Outcome) -> None:
        for slot in self._slots:
            if slot.at and slot.at.order.token == token and not slot.cancelled:
                slot.cancelled = True
                slot.tell({"cancel": token, "outcome": outcome.to_json()})

    def free(self) -> int:
        return sum(slot.at is None for slot in self._slots)

    def _news(self, slot: _SlotConnection) -> list[Ended]:
        news: list[Ended] = []
        while True:
            try:
                received = receive(slot.end)
            except BlockingIOError:
                return news
            if received is None:
                return news + self._replace(slot)
            match received[0]:
                case {"up": _}:
                    slot.is_up = True
                case {"ended": value, "generation": int(generation)}:
                    slot.at, slot.generation = None, generation
                    news.append(Ended.from_json(value))
                case {"died": int(generation), "code": int(code)} if generation == slot.generation:
                    slot.generation = generation + 1
                    news += slot.end_as_lost(f"its slot died ({code})")

    def _replace(self, slot: _SlotConnection) -> list[Ended]:
        """A slot and its supervisor are both dead: end what they left, and start others."""
        slot.end.close()
        self._slots.remove(slot)
        if not slot.is_up:
            code = self._supervisors[-1].wait()
            raise GitorchError(
                f"the supervisor of the slots did not start ({code})",
                hint=f"what it said is above; see whether this starts: {sys.executable} -I -S -c 'import ctypes'",
            )
        if slot.at:
            sweep({slot.at.order.token: slot.at.order.directory}, grace_s=0)
        self._start_supervisor(1)
        return slot.end_as_lost("its slot and the supervisor died")

    def _start_supervisor(self, count: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        try:
            self._supervisors.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        "-c",
                        _BOOT,
                        str(Path(gitorch.__file__).parents[1]),
                        str(self._lock),
                    ]
                    + [str(theirs.fileno()) for _, theirs in pairs],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[self._lock, *(theirs.fileno() for _, theirs in pairs)],
                    cwd="/",
                    env={name: value for name, value in os.environ.items() if name != TOKEN},
                    start_new_session=True,
                )
            )
        finally:
            for _, theirs in pairs:
                theirs.close()
        for ours, _ in pairs:
            ours.setblocking(False)
            self._slots.append(_SlotConnection(ours))

    def _wait_until_unlocked(self) -> None:
        """Slots that outlived their supervisor are none of our children, but hold the lock."""
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)


def _to_json(order: Order) -> dict[str, Any]:
    return {
        "token": order.token,
        "directory": str(order.directory.absolute()),
        "argv": list(order.argv),
        "cwd": str(order.cwd.absolute()),
        "env": dict(order.env),
        "timeout_s": order.timeout_s,
        "grace_s": order.grace_s,
    }
