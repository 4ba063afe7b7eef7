"""The execution of attempts by a worker of Dask, and the functions that it has for the engine.

Standard library only: Dask transports these functions by value.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.engines.dask import host, run_files
from gitorch.engines.dask.files import try_lock
from gitorch.engines.dask.host import HostError
from gitorch.engines.dask.run_files import (
    end,
    read_part,
    results,
    take_state,
)

_LOOK_S = 0.2  # between two looks at whether somebody still cares
_MOST_NEWS = 8 << 20  # bytes of one answer

_LAUNCHER = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from gitorch.engines.dask.launcher import launch
launch(socket.socket(fileno=int(sys.argv[2])))
"""

# When somebody has last asked for an attempt, by token; launchers by their programs.
_asked: dict[str, float] = {}
_launchers: dict[str, Any] = {}


class Execution(NamedTuple):
    """The execution of an attempt. `run` and `programs` are directories of the host.

    `attempt` is relative to `run`. The attempt ends if nobody has asked for it for `lease_s`: its
    worker is gone. `repository` is None if the host shares the file system of the worker.
    """

    run: str
    attempt: str
    programs: str
    order: Mapping[str, Any]
    job: str
    lease_s: float
    repository: str | None


class LauncherGone(Exception):
    """The launcher has ended."""


class LauncherConnection:
    """A launcher (see `launcher`), and who waits for its keepers. For several threads."""

    def __init__(self, programs: str) -> None:
        self._socket, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  open as long as this object
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, programs]
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._printed,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[str]] = {}
        self.is_gone = False
        threading.Thread(target=self._listen, daemon=True).start()

    def keep(
        self, token: str, directory: Path, job: str, locks: Sequence[int]
    ) -> Future[str]:
        """Start a keeper. The future has what it printed when it has ended, or LauncherGone."""
        request = {"token": token, "directory": str(directory), "job": job}
        future: Future[str] = Future()
        with self._lock:
            if self.is_gone:
                raise LauncherGone
            self._waiting[token] = future
            with suppress(OSError):  # then the listener notices it too
                data = json.dumps(request).encode()
                socket.send_fds(self._socket, [data], locks)
        return future

    def _listen(self) -> None:
        while True:
            try:
                data = self._socket.recv(64 * 1024)
            except OSError:
                break
            if not data:
                break
            answer = json.loads(data)
            with self._lock:
                future = self._waiting.pop(answer["token"], None)
            if future is not None:
                future.set_result(answer["printed"])
        self._process.wait()
        self._printed.seek(0)
        reason = self._printed.read(1000).decode(errors="replace")
        with self._lock:
            self.is_gone = True
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(LauncherGone(reason))
        self._socket.close()
        self._printed.close()


def _launcher(programs: str) -> LauncherConnection:
    lock = _launchers.setdefault("lock", threading.Lock())
    with lock:
        launcher: LauncherConnection | None = _launchers.get(programs)
        if launcher is None or launcher.is_gone:
            launcher = LauncherConnection(programs)
            _launchers[programs] = launcher
        return launcher


def carry_out(*fields: Any) -> dict[str, Any]:
    """Execute an attempt: the fields are those of a Execution. The attempt records its own end.

    Return its end, as JSON, and its results if the host does not share the file system.
    """
    request = Execution(*fields)
    if request.repository is None:
        _keep(request, [])
        return {"ended": _ended(request)}
    run = Path(request.run)
    lock = try_lock(run / "lock")
    if lock is None:
        raise HostError("another attempt at the run is running on the host")
    try:
        (run / "prepared").unlink(missing_ok=True)
        state = take_state(run)
        if state is None:
            raise HostError("the files of the run were removed")
        _keep(request, [lock])
        ended = _ended(request)
        names = (request.repository, run.name, request.attempt)
        left = results(*names, state)
        os.utime(run / "lock")
    finally:
        os.close(lock)
    return {"ended": ended, **left}


def _keep(request: Execution, locks: Sequence[int]) -> None:
    """Let a keeper execute the attempt, and wait until it has ended."""
    directory = Path(request.run, request.attempt)
    token = request.order["token"]
    document = {**request.order, "argv": _argv(request.order["argv"])}
    descriptor = os.open(
        directory / "order.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
    )
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    _asked[token] = time.monotonic()
    try:
        printed = ""
        # A launcher that has just ended did not take the order.
        for _ in range(3):
            try:
                keeper = _launcher(request.programs).keep(
                    token, directory, request.job, locks
                )
                printed = _wait(keeper, directory, token, request.lease_s)
                break
            except LauncherGone as gone:
                printed = str(gone)
                if not (directory / "order.json").exists():
                    break
    finally:
        _asked.pop(token, None)
    if not (directory / "status.json").exists():
        raise HostError(printed.strip() or "the attempt did not start")


def _wait(keeper: Future[str], directory: Path, token: str, lease_s: float) -> str:
    while True:
        with suppress(TimeoutError):
            return keeper.result(_LOOK_S)
        if time.monotonic() - _asked[token] > lease_s:
            message = f"nobody has asked for it for {lease_s:g} s"
            end(directory, token, {"kind": "lost", "message": message})


def _ended(request: Execution) -> Any:
    status = Path(request.run, request.attempt, "status.json")
    try:
        return json.loads(read_part(status, 0, 1 << 20))
    except (OSError, ValueError) as error:
        raise HostError(f"its record cannot be read: {error}") from None


def news(
    requests: Sequence[tuple[str, str, Mapping[str, int]]], most: int
) -> dict[str, dict[str, bytes]]:
    """Return what was added to files of attempts, by token and name. Somebody still cares for them.

    A request has the token, the attempt's directory and the sizes of the files that are known.
    """
    left = _MOST_NEWS
    found: dict[str, dict[str, bytes]] = {}
    for token, directory, offsets in requests:
        if token in _asked:
            _asked[token] = time.monotonic()
        added = found.setdefault(token, {})
        for name, offset in offsets.items():
            with suppress(OSError):
                added[name] = read_part(
                    Path(directory, name), offset, min(most, left)
                )
                left -= len(added[name])
    return found


def request_end(directory: str, token: str, outcome: Mapping[str, Any]) -> None:
    """End an attempt with this outcome, if it runs on this host."""
    end(Path(directory), token, outcome)


def _argv(argv: list[str]) -> list[str]:
    """Return the command. A Python that the host does not have is replaced by Dask's."""
    program = Path(argv[0])
    is_python = program.name.startswith("python")
    if program.is_absolute() and is_python and not program.exists():
        return [sys.executable, *argv[1:]]
    return argv


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "HostError": HostError,
    **{
        function.__name__: function
        for function in (
            host.greet,
            host.receive,
            host.keep_content,
            host.take_pack,
            host.take_program,
            run_files.prepare,
            run_files.read,
            run_files.forget,
            carry_out,
            news,
            request_end,
        )
    },
}
