"""The slot supervisor: one process for each worker, which forks one process for each slot.

    worker ──┬── supervisor
             │     ├── slot 0 ── the attempt and all its descendants
             │     └── slot 1 ── …
             └── a socket for each slot; the slot and the supervisor hold its other end

When the worker dies for any reason, its ends of the sockets are closed, and the slots read an end
of file.

A slot executes one attempt at a time. It starts the next attempt only when no process of the last
one is left. A slot is a subreaper, so all processes that an attempt starts, even daemons, remain
descendants of the slot. The processes of an attempt are therefore known exactly, without an extra
process for each attempt. When a slot dies, the supervisor, which is also a subreaper, ends the
remaining processes of the slot, reports to the worker, and forks another slot. The supervisor and
the slots ignore SIGTERM and the like, and have sessions of their own, so they end only with their
worker. They inherit the descriptor of a lock, which is held as long as one of them lives.

The output of an attempt is a pipe, which its slot empties into the log (see `log_pipe`). The worker
is not part of this, so no output is lost when it dies.

An order names the generation of the slot that it is meant for. The next generation ignores it,
because the supervisor's report already tells the worker that the order is lost.

This module runs with `python -I -S`: it uses the standard library only, and writes outcomes and
ends as the JSON that `model/run/outcome.py` and `contract.Ended` read.
"""

from __future__ import annotations

import ctypes
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

from gitorch.engines.log_pipe import LogPipe
from gitorch.engines.spawn import start_program
from gitorch.engines.wire import receive, send
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.tools import clock, process
from gitorch.tools.faults import boundary

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

    _Outcome = dict[str, Any]  # as JSON

# Processes that end within this time after their program do not count as left running, since they
# were about to end by themselves.
SETTLE_S = 0.1
_LOOKS = 2000
LONGEST_POLL_MS = 24 * 3600 * 1000  # poll(2) takes an int

_BY_ITSELF = (OutcomeKind.SUCCEEDED, OutcomeKind.EXIT_CODE, OutcomeKind.SIGNAL)
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# O_NONBLOCK: if a task has put a pipe in place of the file, opening it must not wait for a reader.
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_APPEND = _OPEN | os.O_APPEND
_CREATE = _OPEN | os.O_EXCL


def supervise(lock: int, ends: Sequence[int]) -> None:
    """Fork a slot for each of the sockets `ends`, and supervise the slots until the worker is gone.

    `lock` is the descriptor of the lock that is held until then.
    """
    os.set_inheritable(lock, False)
    become_subreaper()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    sockets = [socket.socket(fileno=end) for end in ends]
    for end in sockets:
        end.set_inheritable(False)
    slots: dict[int, tuple[socket.socket, int]] = {}  # socket and generation by pid
    for end in sockets:
        slots[_fork_slot(end, sockets, 0)] = (end, 0)
    while slots:
        pid, status = os.waitpid(-1, 0)
        if pid not in slots:
            continue  # an orphan of a slot that died
        end, generation = slots.pop(pid)
        if status == 0:
            continue  # the slot ended because the worker is gone
        process.end(lambda: _strays(slots), grace_s=0, by_group=True)
        code = os.waitstatus_to_exitcode(status)
        following = generation + 1
        with suppress(ConnectionError):
            send(end, {"died": generation, "code": code})
            slots[_fork_slot(end, sockets, following)] = (end, following)


def _strays(slots: Mapping[int, Any]) -> list[process.Process]:
    """Return the running descendants of this supervisor that do not belong to a slot."""
    table = process.table()
    of_slots = set(process.with_descendants(table, slots))
    strays = []
    for descendant in process.with_descendants(table, [os.getpid()], include=False):
        if descendant not in of_slots and not descendant.has_ended:
            strays.append(descendant)
    return strays


def _fork_slot(
    end: socket.socket, sockets: Sequence[socket.socket], generation: int
) -> int:
    """Fork a slot and return its pid. The slot itself never returns."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for other in sockets:
            if other is not end:
                other.close()
        os.setsid()
        become_subreaper()
        if _SlotProcess(end, generation).work():
            code = 0
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class _SlotProcess:
    """The slot, which executes the orders that it receives from its socket."""

    def __init__(self, end: socket.socket, generation: int) -> None:
        self._end = end
        self._generation = generation
        self._null = os.open(os.devnull, os.O_RDONLY)
        self._children, writer = os.pipe()  # readable when a child has ended
        os.set_blocking(self._children, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._children, select.POLLIN)
        self._poll.register(end, select.POLLIN)
        self._grace_s = 0.0  # of the current attempt
        self._may_save = False
        self._oom_kills = process.OomKills()

    def work(self) -> bool:
        """Execute orders until the worker is gone, and return True.

        Return False if an attempt leaves a process that this user may not signal. The supervisor
        must then replace this slot, since the process would count as part of the next attempt.
        """
        with suppress(ConnectionError):
            send(self._end, {"up": self._generation})
        while received := receive(self._end):
            message, order = received
            if order is None or message["generation"] != self._generation:
                continue  # a cancel that came too late, or an order for the slot that died
            if self._is_worker_gone():
                return True
            ended, survivors = self._carry_out(order)
            following = self._generation
            if survivors:
                following += 1
            if ended is not None:
                self._report(order, ended, following)
            if survivors:
                return False
        return True

    def _is_worker_gone(self) -> bool:
        ready = self._poll.poll(0)
        return any(events & select.POLLHUP for _, events in ready)

    def _carry_out(
        self, order: Mapping[str, Any]
    ) -> tuple[dict[str, Any] | None, list[process.Process]]:
        """Run an attempt, and return its end and the processes that could not be ended.

        The end is None if the worker died first.
        """
        started = clock.now()
        began = time.monotonic()
        self._grace_s = order["grace_s"]
        self._may_save = False
        self._oom_kills.note()
        left_running = 0
        survivors: list[process.Process] = []
        log_error = None
        outcome: _Outcome | None
        try:
            log = LogPipe(order["directory"], self._poll)
        except OSError as error:
            outcome = _could_not_start(error)
        else:
            try:
                program = start_program(order, self._null, log.writer)
            except (OSError, ValueError) as error:
                outcome = _could_not_start(error)
            else:
                log.close_writer()
                outcome = self._wait(order, program, log)
                if outcome is not None and outcome["kind"] in _BY_ITSELF:
                    left_running = self._settle(log)
                    if _is_killed(outcome) and self._oom_kills.have_risen():
                        outcome = {"kind": OutcomeKind.OUT_OF_MEMORY}
                if self._may_save:
                    process.ask_to_end(
                        self._remaining, self._grace_s, log.drain_for
                    )
                    self._grace_s = 0.0
                survivors = process.end(
                    self._remaining,
                    self._grace_s,
                    by_group=True,
                    sleep=log.drain_for,
                )
            log.close()
            log_error = log.error
        if outcome is None:
            return None, survivors
        ended = {
            "token": order["token"],
            "outcome": outcome,
            "started": started,
            "ended": clock.now(),
            "duration_s": round(time.monotonic() - began, 6),
            "left_running": left_running,
            "log_error": log_error,
        }
        return ended, survivors

    def _wait(
        self, order: Mapping[str, Any], program: int, log: LogPipe
    ) -> _Outcome | None:
        """Wait until the program ends, reaches its time limit or is cancelled.

        Return the outcome, or None if the worker is gone.
        """
        timeout = order["timeout_s"]
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            wait_s = min(remaining, log.rests_for())
            wait_ms = math.ceil(min(wait_s * 1000, LONGEST_POLL_MS))
            for descriptor, _ in self._poll.poll(wait_ms):
                if descriptor == self._children:
                    status = self._status_of(program)
                    if status is not None:
                        return _outcome(status)
                    continue
                if descriptor == log.reader:
                    log.drain()
                    log.rest()
                    continue
                received = receive(self._end)
                if received is None:
                    return None
                message, _ = received
                if message.get("cancel") == order["token"]:
                    self._may_save = "grace_s" in message
                    self._grace_s = message.get("grace_s", self._grace_s)
                    outcome: _Outcome = message["outcome"]
                    return outcome
        self._may_save = "checkpoint_s" in order
        self._grace_s = order.get("checkpoint_s", self._grace_s)
        return {"kind": OutcomeKind.TIMEOUT, "message": f"after {timeout:g} s"}

    def _status_of(self, program: int) -> int | None:
        """Reap the children that have ended, and return the wait status of `program`.

        Return None if the program still runs.
        """
        os.read(self._children, 4096)
        for pid, status in _reap():
            if pid == program:
                return status
        return None

    def _settle(self, log: LogPipe) -> int:
        """Wait up to SETTLE_S until the other processes have ended, and count those that run on."""
        deadline = time.monotonic() + SETTLE_S
        remaining = self._remaining()
        while remaining and time.monotonic() < deadline:
            log.drain_for(0.005)
            remaining = self._remaining()
        return sum(1 for one in remaining if not one.has_ended)

    def _remaining(self) -> list[process.Process]:
        """Return the processes of the attempt.

        They are the descendants of this process, since it is a subreaper. If there is a child, but
        none in the table of processes, the child is new, and the table is read again. A child that
        /proc does not show is given up.
        """
        for _ in range(_LOOKS):
            try:
                for _ in _reap():
                    pass
            except ChildProcessError:
                return []
            remaining = process.descendants(os.getpid())
            if remaining:
                return remaining
            time.sleep(0.001)
        return []

    def _report(
        self, order: Mapping[str, Any], ended: Mapping[str, Any], following: int
    ) -> None:
        """Write the attempt's own record, and report the end to the worker.

        The worker receives the report even if the disk has no space for the record. `following` is
        the generation of the slot that takes the next order.
        """
        outcome = ended["outcome"]
        if outcome["kind"] == OutcomeKind.COULD_NOT_START:
            reason = f"gitorch: could not start: {outcome['message']}\n"
            _write(f"{order['directory']}/log.txt", _APPEND, reason)
        record = f"{order['directory']}/status.json"
        aside = f"{order['directory']}/.status.json"
        with suppress(OSError):  # the attempt may have put anything there
            os.unlink(aside)
        is_durable = order.get("is_durable", False)
        if _write(aside, _CREATE, json.dumps(ended), is_durable=is_durable):
            with suppress(OSError):
                os.rename(aside, record)
                boundary()
        with suppress(ConnectionError):
            send(self._end, {"ended": ended, "generation": following})


def _could_not_start(error: OSError | ValueError) -> _Outcome:
    return {"kind": OutcomeKind.COULD_NOT_START, "message": _reason(error)}


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _reap() -> Iterator[tuple[int, int]]:
    """Yield the pid and the wait status of each child that has ended.

    Raises ChildProcessError if there are no children.
    """
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        yield pid, status


def _outcome(status: int) -> _Outcome:
    match os.waitstatus_to_exitcode(status):
        case 0:
            return {"kind": OutcomeKind.SUCCEEDED}
        case code if code > 0:
            return {"kind": OutcomeKind.EXIT_CODE, "exit_code": code}
        case number:
            return {"kind": OutcomeKind.SIGNAL, "signal": -number}


def _is_killed(outcome: _Outcome) -> bool:
    """Return True if SIGKILL ended the program, or a program that a shell waited for."""
    if outcome["kind"] == OutcomeKind.SIGNAL:
        return bool(outcome["signal"] == signal.SIGKILL)
    exit_code_of_shell = 128 + signal.SIGKILL
    return bool(outcome.get("exit_code") == exit_code_of_shell)


def _write(path: str, flags: int, text: str, *, is_durable: bool = False) -> bool:
    """Write `text` to a file. Return False if the disk is full or the directory is gone.

    With `is_durable`, flush the file to the disk: it then survives a crash of the machine.
    """
    data = text.encode("utf-8", "backslashreplace")
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            is_whole = os.write(descriptor, data) == len(data)
            if is_durable:
                os.fsync(descriptor)
            return is_whole
        finally:
            os.close(descriptor)
    except OSError:
        return False
