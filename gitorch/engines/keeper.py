"""The program that carries out one order on any machine, from its start to its recorded end.

It is started by what an engine has submitted: the script of a Slurm job, a task of Dask. The
attempt is executed by a slot, as on the worker's own machine (see `slots`). This process is the
slot's worker: when it ends, so do the processes of the attempt.

It reads and writes plain files in the attempt's directory, which the worker reads too:

    order.json    the order, as `order_files.write_order` writes it
    taken.<job>   the order, renamed by the one program that carries it out. A second one, such as
                  a job that was requeued or submitted twice, finds no order and ends at once.
    began.json    where the attempt runs, with the facts about the machine that its record gets.
                  The file is touched regularly while the attempt runs.
    cancel.json   the outcome with which the worker wants the attempt to end
    status.json   the end, flushed to the disk

A signal ends the attempt as well. SIGUSR1 means that the time limit of the job is near: the attempt
then has `checkpoint_s` seconds to write a checkpoint. SIGTERM means anything else.

Standard library only, so it needs no installation.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitorch.engines.slots import become_subreaper, supervise
from gitorch.engines.wire import receive, send
from gitorch.model.run.outcome_kind import OutcomeKind
from gitorch.tools import clock, machine, process
from gitorch.tools.untrusted import read_plain

# The exit codes: the attempt did not succeed; the order belongs to another program.
UNSUCCESSFUL = 1
TAKEN = 75
_LARGEST = 1 << 20  # bytes, of a request
_LOOKS_S = 0.2  # between two looks for a request to cancel


def main(directory: str, job: str) -> int:
    """Carry out the order in a directory, and return the exit code. `job` names this execution."""
    order = take_order(directory, job)
    if order is None:
        sys.stderr.write(
            "gitorch: the order was carried out before, or withdrawn\n"
        )
        return TAKEN
    order["env"] = environment(order["env"], os.environ)
    ended = _Keeper(directory, order, job).work()
    is_success = ended["outcome"]["kind"] == OutcomeKind.SUCCEEDED
    return 0 if is_success else UNSUCCESSFUL


def take_order(directory: str, job: str) -> dict[str, Any] | None:
    """Take the order, which no other program then gets. Return None if it is not there."""
    own = os.path.join(directory, f"taken.{job}")
    if os.path.lexists(own):
        return None  # this job was started before, and requeued
    with suppress(FileNotFoundError):
        os.rename(os.path.join(directory, "order.json"), own)
    # NFS can report a rename as failed that was done: only the file tells.
    try:
        with open(own, encoding="utf-8") as file:
            order: dict[str, Any] = json.load(file)
            return order
    except FileNotFoundError:
        return None


def environment(
    changes: Mapping[str, Any], current: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of the attempt: that of this process, with the order's changes.

    A value may stand around the current one, as in `PATH`: the setup of a job may have added to it.
    """
    env = dict(current)
    for name in changes["unset"]:
        env.pop(name, None)
    env.update(changes["set"])
    for name, (before, after) in changes["around"].items():
        env[name] = before + current.get(name, "") + after
    return env


class _Keeper:
    """The execution of one order."""

    def __init__(self, directory: str, order: Mapping[str, Any], job: str) -> None:
        self._directory = directory
        self._order = order
        self._began = os.path.join(directory, "began.json")
        self._beat_s: float = order["beat_s"]
        self._next_beat = 0.0
        self._is_cancelled = False
        self._is_abandoned = False
        self._signals: list[int] = []
        self._started = clock.now()
        self._monotonic = time.monotonic()
        facts = {
            "token": order["token"],
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "job": job,
            "engine": order.get("engine"),
            "machine": _machine(order["env"]),
            "commands": _reported(order),
        }
        with open(self._began, "w", encoding="utf-8") as file:
            json.dump(facts, file)

    def work(self) -> dict[str, Any]:
        """Execute the attempt, and return its end, which is recorded."""
        become_subreaper()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _start_supervisor(ours, theirs)
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._note_signal)
        send(ours, {"generation": 0}, self._order)
        watched = select.poll()
        watched.register(ours, select.POLLIN)
        watched.register(reader, select.POLLIN)
        while True:
            self._beat()
            self._end_if_asked(ours)
            ready = dict(watched.poll(_LOOKS_S * 1000))
            if reader in ready:
                os.read(reader, 4096)
            if ours.fileno() not in ready:
                continue
            received = receive(ours)
            if received is None:
                return self._record_loss()
            match received[0]:
                case {"ended": ended}:
                    _flush(self._directory)
                    return dict(ended)
                case {"died": _}:
                    return self._record_loss()

    def _note_signal(self, number: int, _: Any) -> None:
        self._signals.append(number)

    def _beat(self) -> None:
        """Change `began.json`, if it is time, so that others know that the attempt goes on.

        If the attempt's directory was removed, the attempt was given up meanwhile.
        """
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + self._beat_s
        try:
            os.utime(self._began)
        except FileNotFoundError:
            self._is_abandoned = not os.path.isdir(self._directory)
        except OSError:
            pass

    def _end_if_asked(self, slot: socket.socket) -> None:
        """Ask the slot to end the attempt, once, if the worker or a signal asks for it."""
        outcome = self._requested()
        if outcome is None or self._is_cancelled:
            return
        self._is_cancelled = True
        message = {"cancel": self._order["token"], "outcome": outcome}
        if outcome["kind"] == OutcomeKind.TIMEOUT:
            message["grace_s"] = self._order["checkpoint_s"]
        elif outcome["kind"] == OutcomeKind.LOST:
            message["grace_s"] = 0.0  # the next attempt may run already
        with suppress(ConnectionError):
            send(slot, message)

    def _requested(self) -> dict[str, Any] | None:
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            path = Path(self._directory, "cancel.json")
            request = json.loads(read_plain(path, _LARGEST))
            if request["token"] == self._order["token"]:
                outcome: dict[str, Any] = request["outcome"]
                return outcome
        if self._is_abandoned:
            message = "its directory was removed"
            return {"kind": OutcomeKind.LOST, "message": message}
        if signal.SIGUSR1 in self._signals:
            message = "the time limit of its job was near"
            return {"kind": OutcomeKind.TIMEOUT, "message": message}
        if self._signals:
            return {"kind": OutcomeKind.SIGNAL, "signal": int(signal.SIGTERM)}
        return None

    def _record_loss(self) -> dict[str, Any]:
        """End what the slot has left, and record that the attempt is lost."""

        def remaining() -> list[process.Process]:
            found = process.descendants(os.getpid())
            return [one for one in found if not one.has_ended]

        process.end(remaining, grace_s=0)
        ended = {
            "token": self._order["token"],
            "outcome": {"kind": OutcomeKind.LOST, "message": "its slot died"},
            "started": self._started,
            "ended": clock.now(),
            "duration_s": round(time.monotonic() - self._monotonic, 6),
            "left_running": 0,
            "log_error": None,
        }
        aside = os.path.join(self._directory, ".status.json")
        with suppress(FileNotFoundError):  # the attempt was given up meanwhile
            with open(aside, "w", encoding="utf-8") as file:
                json.dump(ended, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(aside, os.path.join(self._directory, "status.json"))
            _flush(self._directory)
        return ended


def _start_supervisor(ours: socket.socket, theirs: socket.socket) -> None:
    """Fork the supervisor of one slot, which has the other end of the connection."""
    if os.fork():
        theirs.close()
        return
    code = 1
    try:
        ours.close()
        os.setsid()
        supervise(os.open(os.devnull, os.O_RDONLY), [theirs.detach()])
        code = 0
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _machine(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts about this machine, for a program with these variables."""
    process_facts = {
        "locale": machine.locale_name(variables),
        "timezone": machine.timezone_name(variables),
    }
    return {**machine.facts(), **process_facts}


def _reported(order: Mapping[str, Any]) -> dict[str, str]:
    """Return the output of the commands of `environment:`, which need what a job's setup loads."""
    commands = order.get("reports", ())
    if not commands:
        return {}
    from gitorch.tools.reported import report  # noqa: PLC0415  it takes 5 ms

    return report(commands, tree=Path(order["cwd"]), env=order["env"])


def _flush(directory: str) -> None:
    """Flush the entries of a directory to the disk."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
