"""The engine of this machine. Attempts are processes that slot supervisors run (see `slots`)."""

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

_SUPERVISOR = """
import sys
sys.path.insert(0, sys.argv[1])
from gitorch.engines.slots import supervise
supervise(int(sys.argv[2]), [int(end) for end in sys.argv[3:]])
"""


class _Submitted(Struct, frozen=True):
    """An order that a slot has, and when it was submitted."""

    order: Order
    started: str
    monotonic: float


class _SlotConnection:
    """The worker's side of a slot: the order that the slot has, and the slot's generation."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.generation = 0
        self.is_up = False
        self.submitted: _Submitted | None = None
        self.is_cancelled = False

    def take(self, order: Order) -> None:
        self.submitted = _Submitted(order, clock.now(), time.monotonic())
        self.is_cancelled = False
        self._send({"generation": self.generation}, _to_json(order))

    def cancel(self, token: str, outcome: Outcome) -> None:
        """Ask the slot to end its attempt, if it is the one with this token."""
        submitted = self.submitted
        if submitted is None or submitted.order.token != token or self.is_cancelled:
            return
        self.is_cancelled = True
        self._send({"cancel": token, "outcome": outcome.to_json()})

    def end_as_lost(self, reason: str) -> list[Ended]:
        """Return the end of the attempt that the slot had when it died, if it had one.

        If the attempt has recorded an end itself, that is its end.
        """
        submitted = self.submitted
        self.submitted = None
        if submitted is None:
            return []
        order = submitted.order
        recorded = recorded_end(order.directory, order.token)
        if recorded is not None:
            return [recorded]
        duration_s = round(time.monotonic() - submitted.monotonic, 6)
        lost = Ended.unrecorded(
            order.token, Lost(message=reason), started=submitted.started, duration_s=duration_s
        )
        return [lost]

    def _send(self, message: dict[str, Any], order: dict[str, Any] | None = None) -> None:
        with suppress(ConnectionError):  # `poll` notices it too, and replaces the slot
            send(self.end, message, order)


class LocalEngine:
    """An engine with a number of slots on this machine.

    `lock` is a file that is locked for as long as the engine or one of its processes lives.
    """

    poll_interval_s: float | None = None

    def __init__(self, slots: int, lock: Path) -> None:
        self.slots = slots
        self._lock_path = lock
        self._lock = -1
        self._slots: list[_SlotConnection] = []
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self._submitted: set[str] = set()

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
        if order.token not in self._submitted:
            slot = next(slot for slot in self._slots if slot.submitted is None)
            slot.take(order)
            self._submitted.add(order.token)

    def poll(self) -> list[Ended]:
        news = []
        for slot in list(self._slots):
            news += self._news(slot)
        return news

    def descriptors(self) -> list[int]:
        return [slot.end.fileno() for slot in self._slots]

    def cancel(self, token: str, outcome: Outcome) -> None:
        for slot in self._slots:
            slot.cancel(token, outcome)

    def free(self) -> int:
        return sum(1 for slot in self._slots if slot.submitted is None)

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
                    slot.submitted = None
                    slot.generation = generation
                    news.append(Ended.from_json(value))
                case {"died": int(generation), "code": int(code)} if generation == slot.generation:
                    slot.generation = generation + 1
                    news += slot.end_as_lost(f"its slot died ({code})")

    def _replace(self, slot: _SlotConnection) -> list[Ended]:
        """End what a slot left that died together with its supervisor, and start new ones.

        Raises GitorchError if the slot never was up, because the next one would not be either.
        """
        slot.end.close()
        self._slots.remove(slot)
        if not slot.is_up:
            code = self._supervisors[-1].wait()
            raise GitorchError(
                f"the supervisor of the slots did not start ({code})",
                hint=(
                    "its own message is above; see whether this starts: "
                    f"{sys.executable} -I -S -c 'import ctypes'"
                ),
            )
        if slot.submitted is not None:
            order = slot.submitted.order
            sweep({order.token: order.directory}, grace_s=0)
        self._start_supervisor(1)
        return slot.end_as_lost("its slot and the supervisor died")

    def _start_supervisor(self, count: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        ends = [theirs.fileno() for _, theirs in pairs]
        package = str(Path(gitorch.__file__).parents[1])
        program = [sys.executable, "-I", "-S", "-c", _SUPERVISOR, package, str(self._lock)]
        try:
            supervisor = subprocess.Popen(
                [*program, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[self._lock, *ends],
                cwd="/",
                env={name: value for name, value in os.environ.items() if name != TOKEN},
                start_new_session=True,
            )
        finally:
            for _, theirs in pairs:
                theirs.close()
        self._supervisors.append(supervisor)
        for ours, _ in pairs:
            ours.setblocking(False)
            self._slots.append(_SlotConnection(ours))

    def _wait_until_unlocked(self) -> None:
        """Wait for slots that outlived their supervisor.

        They are not our children, but they hold the lock.
        """
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
