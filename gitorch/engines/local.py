"""The engine of this machine. Attempts are processes that slot supervisors run (see `slots`)."""

from __future__ import annotations

import fcntl
import math
import os
import select
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
from gitorch.tools.locks import lock_within
from gitorch.tools.pidfd import end_of
from gitorch.tools.waits import Wait

# `os._exit`: the worker waits for the supervisor, and Python would free all objects first.
_SUPERVISOR = """
import os, sys
sys.path.insert(0, sys.argv[1])
from gitorch.engines.slots import supervise
supervise(int(sys.argv[2]), [int(end) for end in sys.argv[3:]])
os._exit(0)
"""


# A supervisor that has closed its sockets ends within this time.
_SUPERVISOR_S = 30.0
# Between two looks at whether the user has asked to stop.
_LOOK_S = 0.1


class _Submitted(Struct, frozen=True):
    """The order that a slot executes, and the time at which it was submitted."""

    order: Order
    started: str
    monotonic: float


class _SlotConnection:
    """The worker's side of a slot: the order that the slot executes, and the slot's generation."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.generation = 0
        self.is_up = False
        self.submitted: _Submitted | None = None
        self.is_cancelled = False

    def take(self, order: Order) -> None:
        """Send an order to the slot."""
        self.submitted = _Submitted(order, clock.now(), time.monotonic())
        self.is_cancelled = False
        self._send({"generation": self.generation}, _to_json(order))

    def cancel(self, token: str, outcome: Outcome) -> None:
        """Ask the slot to end its attempt, if the attempt has this token."""
        submitted = self.submitted
        if submitted is None or submitted.order.token != token:
            return
        if self.is_cancelled:
            return
        self.is_cancelled = True
        self._send({"cancel": token, "outcome": outcome.to_json()})

    def end_as_lost(self, reason: str) -> list[Ended]:
        """Return the end of the attempt that the slot executed when it died, if there was one.

        The attempt is lost, unless it has recorded an end itself.
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
            order.token,
            Lost(message=reason),
            started=submitted.started,
            duration_s=duration_s,
        )
        return [lost]

    def _send(
        self, message: dict[str, Any], order: dict[str, Any] | None = None
    ) -> None:
        with suppress(
            ConnectionError
        ):  # `poll` notices the lost connection and replaces the slot
            send(self.end, message, order)


class LocalEngine:
    """An engine whose slots are processes on this machine.

    `lock` is a file that stays locked as long as the engine or one of its processes lives.
    """

    poll_interval_s: float | None = None
    outlives = False

    def __init__(self, slots: int, lock: Path) -> None:
        self.slots = slots
        self._lock_path = lock
        self._lock = -1
        self._slots: list[_SlotConnection] = []
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self._submitted: set[str] = set()

    def __enter__(self) -> Self:
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self._open_lock()
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
        wait = Wait("the supervisor of the tasks to end")
        try:
            for supervisor in self._supervisors:
                _wait_for_end(supervisor, wait)
        finally:
            os.close(self._lock)
        self._wait_until_unlocked()

    def submit(self, order: Order) -> None:
        if order.token in self._submitted:
            return
        free_slot = next(slot for slot in self._slots if slot.submitted is None)
        free_slot.take(order)
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

    def take_over(self, token: str, directory: Path) -> bool:
        return False

    def notices(self) -> list[str]:
        return []

    def free(self) -> int:
        return sum(1 for slot in self._slots if slot.submitted is None)

    def _news(self, slot: _SlotConnection) -> list[Ended]:
        """Read all messages of a slot, and return the ends that they report."""
        news: list[Ended] = []
        while True:
            try:
                received = receive(slot.end)
            except BlockingIOError:
                return news
            if received is None:
                return news + self._replace(slot)
            message, _ = received
            match message:
                case {"up": _}:
                    slot.is_up = True
                case {"ended": value, "generation": int(generation)}:
                    slot.submitted = None
                    slot.generation = generation
                    news.append(Ended.from_json(value))
                case {"died": slot.generation, "code": int(code)}:
                    slot.generation += 1
                    news += slot.end_as_lost(f"its slot died ({code})")

    def _replace(self, slot: _SlotConnection) -> list[Ended]:
        """Start a new slot and supervisor for a slot that died together with its supervisor.

        The processes of the slot's attempt are ended first. Return the end of this attempt, if
        there was one. Raises GitorchError if the slot never started, since a new slot would not
        start either.
        """
        slot.end.close()
        self._slots.remove(slot)
        if not slot.is_up:
            code = self._supervisors[-1].wait(_SUPERVISOR_S)
            raise GitorchError(
                f"the supervisor of the slots did not start ({code})",
                hint=(
                    "its own message is above; check that this command works: "
                    f"{sys.executable} -I -S -c 'import ctypes'"
                ),
            )
        if slot.submitted is not None:
            order = slot.submitted.order
            sweep({order.token: order.directory}, grace_s=0)
        self._start_supervisor(1)
        return slot.end_as_lost("its slot and the supervisor died")

    def _start_supervisor(self, count: int) -> None:
        """Start a supervisor with `count` slots, and connect to them."""
        pairs = []
        for _ in range(count):
            pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        ends = [theirs.fileno() for _, theirs in pairs]
        package = Path(gitorch.__file__).parents[1]
        program = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _SUPERVISOR,
            str(package),
            str(self._lock),
        ]
        env = dict(os.environ)
        env.pop(TOKEN, None)
        try:
            supervisor = subprocess.Popen(
                [*program, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[self._lock, *ends],
                cwd="/",
                env=env,
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
        """Wait for the end of slots that outlived their supervisor.

        Such slots are not children of this process, but they hold the lock.
        """
        descriptor = self._open_lock()
        try:
            lock_within(descriptor, math.inf, "the processes of the tasks to end")
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._lock_path, flags, 0o600)


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


def _wait_for_end(process: subprocess.Popen[bytes], wait: Wait) -> None:
    """Wait until a process has ended, and learn of its end at once."""
    if process.poll() is not None:
        return
    with end_of(process.pid) as death:
        while process.poll() is None:
            wait.check()
            select.select([death], [], [], _LOOK_S)
