"""The slot supervisor: one process for each worker, which forks one process for each slot.

    worker ──┬── supervisor            the worker's ends of the sockets are its life line: when it dies, however it
             │     ├── slot 0 ── the attempt and all that descends from it        does, the slots read an end of file
             │     └── slot 1 ── …
             └── a socket for each slot, its other end held by the slot and by the supervisor

A slot carries out one attempt at a time and starts the next only when nothing of the last is left. It is a subreaper,
so whatever an attempt starts stays below it, daemons too; ancestry is exact and no process is forked for an attempt
but the attempt itself. When a slot dies the supervisor, a subreaper too, ends what it left, tells the worker, and forks
another. They ignore the gentle signals and are in sessions of their own: they end with their worker, and by nothing
else. As long as one of them lives, the lock whose descriptor they were given is held.

An order bears the generation of the slot that it is meant for: the next one leaves it alone, because the worker is told
at the same time that it was lost.

Runs with `python -I -S`, so it uses the standard library only. It therefore writes outcomes and ends as the JSON that
`model/run/outcome.py` and `contract.Ended` read.
"""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gitorch.engines.wire import receive, send
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.tools import clock, process
from gitorch.tools.faults import boundary

_Outcome = dict[str, Any]  # as JSON
SETTLE_S = (
    0.1  # what ends by itself so soon after its program was on its way out: it was not left running
)
_BY_ITSELF = (OutcomeKind.SUCCEEDED, OutcomeKind.EXIT_CODE, OutcomeKind.SIGNAL)
LONGEST_POLL_MS = 24 * 3600 * 1000  # poll(2) takes an int

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_DEFAULT_IN_ATTEMPTS = (
    *_IGNORED,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
)  # as subprocess restores them
_TO_LOG = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


def supervise(lock: int, ends: Sequence[int]) -> None:
    """Be the supervisor of a slot for each of `ends`, its end of the slot's socket, until the worker is gone."""
    os.set_inheritable(lock, False)
    _become_subreaper()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    sockets = [socket.socket(fileno=end) for end in ends]
    for end in sockets:
        end.set_inheritable(False)
    slots = {_fork_slot(end, sockets, 0): (end, 0) for end in sockets}
    while slots:
        pid, status = os.waitpid(-1, 0)
        if pid not in slots:
            continue  # an orphan of a slot that died
        end, generation = slots.pop(pid)
        if status == 0:
            continue  # its worker is gone
        process.end(lambda: _strays(slots), grace_s=0, by_group=True)
        with suppress(ConnectionError):
            send(end, {"died": generation, "code": os.waitstatus_to_exitcode(status)})
            slots[_fork_slot(end, sockets, generation + 1)] = (end, generation + 1)


def _strays(slots: Mapping[int, Any]) -> list[process.Process]:
    """What runs below the supervisor, but below no slot."""
    table = process.table()
    kept = set(process.with_descendants(table, slots))
    below = process.with_descendants(table, [os.getpid()], include=False)
    return [stray for stray in below if stray not in kept and not stray.has_ended]


def _fork_slot(end: socket.socket, sockets: Sequence[socket.socket], generation: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for other in sockets:
            if other is not end:
                other.close()
        os.setsid()
        _become_subreaper()
        if _SlotProcess(end, generation).work():
            code = 0
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class _SlotProcess:
    def __init__(self, end: socket.socket, generation: int) -> None:
        self._end = end
        self._generation = generation
        self._null = os.open(os.devnull, os.O_RDONLY)
        # Readable when a child has ended.
        self._children, writer = os.pipe()
        os.set_blocking(self._children, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._children, select.POLLIN)
        self._poll.register(end, select.POLLIN)

    def work(self) -> bool:
        """Carry out orders until the worker is gone; False if something that may not be signalled is left behind."""
        with suppress(ConnectionError):
            send(self._end, {"up": self._generation})
        while received := receive(self._end):
            message, order = received
            if order is None or message["generation"] != self._generation:
                continue  # a cancel that came too late, or an order to the slot that died
            if self._is_worker_gone():
                return True
            ended, survivors = self._carry_out(order)
            if ended is not None:
                self._report(order, ended, following=self._generation + bool(survivors))
            if survivors:
                return False
        return True

    def _is_worker_gone(self) -> bool:
        return any(events & select.POLLHUP for _, events in self._poll.poll(0))

    def _carry_out(
        self, order: Mapping[str, Any]
    ) -> tuple[dict[str, Any] | None, list[process.Process]]:
        """How the attempt ended, None if its worker did, and what is left of it in spite of everything."""
        started, began, oom_kills = clock.now(), time.monotonic(), _oom_kills()
        left_running = 0
        survivors: list[process.Process] = []
        outcome: _Outcome | None
        try:
            program = _start(order, self._null)
        except (OSError, ValueError) as error:
            outcome = {"kind": OutcomeKind.COULD_NOT_START, "message": _reason(error)}
        else:
            outcome = self._wait(order, program)
            if outcome is not None and outcome["kind"] in _BY_ITSELF:
                left_running = self._settle()
                if _is_killed(outcome) and _oom_kills() > oom_kills:
                    outcome = {"kind": OutcomeKind.OUT_OF_MEMORY}
            survivors = process.end(self._left, order["grace_s"], by_group=True)
        if outcome is None:
            return None, survivors
        ended = {
            "token": order["token"],
            "outcome": outcome,
            "started": started,
            "ended": clock.now(),
            "duration_s": round(time.monotonic() - began, 6),
            "left_running": left_running,
        }
        return ended, survivors

    def _wait(self, order: Mapping[str, Any], program: int) -> _Outcome | None:
        """The first that happens: the program ends, its time is up, it is cancelled, its worker is gone (None)."""
        timeout = order["timeout_s"]
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(math.ceil(min(remaining * 1000, LONGEST_POLL_MS))):
                if descriptor == self._children:
                    os.read(self._children, 4096)
                    for pid, status in _reaped():
                        if pid == program:
                            return _outcome(status)
                elif (received := receive(self._end)) is None:
                    return None
                elif received[0].get("cancel") == order["token"]:
                    outcome: _Outcome = received[0]["outcome"]
                    return outcome
        return {"kind": OutcomeKind.TIMEOUT, "message": f"after {timeout:g} s"}

    def _settle(self) -> int:
        """How many processes are still there when those that were just ending have ended."""
        deadline = time.monotonic() + SETTLE_S
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.005)
        return sum(not found.has_ended for found in left)

    def _left(self) -> list[process.Process]:
        """What is left of the attempt: nothing if this process has no children, since it is a subreaper.

        With children that are not in the table, being younger, it is read again.
        """
        while True:
            try:
                for _ in _reaped():
                    pass
            except ChildProcessError:
                return []
            if found := process.descendants(os.getpid()):
                return found
            time.sleep(0.001)

    def _report(self, order: Mapping[str, Any], ended: Mapping[str, Any], following: int) -> None:
        """Leave the attempt's own record, then tell the worker: a record that cannot be written, it still hears of."""
        outcome = ended["outcome"]
        if outcome["kind"] == OutcomeKind.COULD_NOT_START:
            reason = f"gitorch: could not start: {outcome['message']}\n"
            _write(f"{order['directory']}/log.txt", _TO_LOG, reason)
        aside = f"{order['directory']}/.status.json"
        if _write(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, json.dumps(ended)):
            with suppress(OSError):
                os.rename(aside, f"{order['directory']}/status.json")
                boundary()
        with suppress(ConnectionError):
            send(self._end, {"ended": ended, "generation": following})


def _start(order: Mapping[str, Any], null: int) -> int:
    """Start the order's program: a session of its own, nothing to read, everything it says to the log."""
    os.chdir(order["cwd"])  # posix_spawn(3) cannot, and this process is at one attempt only
    try:
        log = os.open(f"{order['directory']}/log.txt", _TO_LOG, 0o644)
        try:
            return os.posix_spawn(
                _program(order["argv"][0], order["env"]),
                order["argv"],
                order["env"],
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULT_IN_ATTEMPTS,
            )
        finally:
            os.close(log)
    finally:
        os.chdir("/")


def _program(name: str, env: Mapping[str, str]) -> str:
    """The file of a program: posix_spawnp(3) would look for it on the PATH of this process."""
    if "/" in name:
        return name
    for directory in env.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(errno.ENOENT, "no such program on PATH", name)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _reaped() -> Iterator[tuple[int, int]]:
    """Children that have ended, with their wait status. Raises ChildProcessError where there is no child at all."""
    while (ended := os.waitpid(-1, os.WNOHANG))[0]:
        yield ended


def _outcome(status: int) -> _Outcome:
    match os.waitstatus_to_exitcode(status):
        case 0:
            return {"kind": OutcomeKind.SUCCEEDED}
        case code if code > 0:
            return {"kind": OutcomeKind.EXIT_CODE, "exit_code": code}
        case number:
            return {"kind": OutcomeKind.SIGNAL, "signal": -number}


def _is_killed(outcome: _Outcome) -> bool:
    """Return True if SIGKILL ended the program, or one that a shell waited for."""
    if outcome["kind"] == OutcomeKind.SIGNAL:
        return bool(outcome["signal"] == signal.SIGKILL)
    return bool(outcome.get("exit_code") == 128 + signal.SIGKILL)


def _oom_kills() -> int:
    """How many processes of this machine the kernel has ended for want of memory, in all its control groups.

    One that somebody else killed at that moment would be named wrong; which one it was the kernel tells only its log.
    """
    try:
        with open("/proc/vmstat", "rb") as file:
            return int(file.read().partition(b"\noom_kill ")[2].partition(b"\n")[0])
    except (OSError, ValueError):
        return 0


def _write(path: str, flags: int, text: str) -> bool:
    """Whether `text` is all in the file: the disk may be full, the directory gone."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        descriptor = os.open(path, flags, 0o644)
        try:
            return os.write(descriptor, data) == len(data)
        finally:
            os.close(descriptor)
    except OSError:
        return False
