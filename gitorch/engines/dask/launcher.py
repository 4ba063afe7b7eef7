"""The process on a host that forks a keeper for each attempt: starting Python anew takes longer.

A worker of Dask starts it with the first attempt, and has the other end of its socket:

    Dask's worker ── launcher ──┬── keeper ── slot ── the attempt and all its descendants
                                └── keeper ── …

    to the launcher      {"token", "directory", "job"}, with the lock of a run if there is one
    from the launcher    {"token", "printed": what the keeper wrote to its standard error}

A keeper ends its attempt when it gets SIGTERM. It gets that from the launcher when Dask's worker is
gone, and from the kernel when the launcher is.

Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress

from gitorch.engines import keeper
from gitorch.tools import machine
from gitorch.tools.anonymous import anonymous_file

IDLE_S = 60.0  # without an attempt for so long, the launcher ends
_LARGEST_REQUEST = 64 * 1024
_MOST_PRINTED = 1000  # bytes
_PR_SET_PDEATHSIG = 1  # prctl(2)


def launch(end: socket.socket) -> None:
    """Fork a keeper for each request, until Dask's worker is gone."""
    machine.facts()  # which keepers need: to look for GPUs takes longer than all else
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    keepers: dict[int, tuple[str, int]] = {}  # by pid: token, and standard error
    watched = select.poll()
    watched.register(reader, select.POLLIN)
    watched.register(end, select.POLLIN)
    while True:
        idle_ms = None if keepers else IDLE_S * 1000
        ready = dict(watched.poll(idle_ms))
        if not ready:
            return
        if reader in ready:
            os.read(reader, 4096)
            _report(end, keepers)
        if end.fileno() in ready and not _start_next(end, keepers):
            break
    for pid in keepers:
        os.kill(pid, signal.SIGTERM)
    for pid in keepers:
        os.waitpid(pid, 0)


def _start_next(end: socket.socket, keepers: dict[int, tuple[str, int]]) -> bool:
    """Fork the keeper that is requested. Return False if Dask's worker is gone."""
    try:
        data, locks, _, _ = socket.recv_fds(
            end, _LARGEST_REQUEST, 1, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return False
    if not data:
        return False
    request = json.loads(data)
    printed = anonymous_file("stderr")
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        end.close()
        _keep(request, printed, launcher)
    for lock in locks:
        os.close(lock)
    keepers[pid] = (request["token"], printed)
    return True


def _keep(request: dict[str, str], printed: int, launcher: int) -> None:
    """Be the keeper, which has the lock as long as it lives. This function never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(printed, sys.stderr.fileno())
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() == launcher:
            code = keeper.main(request["directory"], request["job"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _report(end: socket.socket, keepers: dict[int, tuple[str, int]]) -> None:
    """Reap the keepers that have ended, and say so."""
    while keepers:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        token, printed = keepers.pop(pid)
        text = os.pread(printed, _MOST_PRINTED, 0).decode(errors="replace")
        os.close(printed)
        with suppress(ConnectionError):
            end.send(json.dumps({"token": token, "printed": text}).encode())


if __name__ == "__main__":
    launch(socket.socket(fileno=int(sys.argv[1])))
