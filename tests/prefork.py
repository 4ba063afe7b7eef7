"""Runs `gitorch` in a fork of a process that has imported it already.

Importing is most of a short command, and the tests run the program some thousand times. A server
forks once for each call, and the fork gets the environment, the directory, the umask and the
streams of the call. Only what an interpreter reads at its start (`PYTHON*`, the locale) is the
server's. Calls that set such a variable start a process of their own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_")
_KEPT = ("PATH", "TMPDIR", "LANG", "PYTHONHASHSEED")

_SERVER = """
import atexit, gc, importlib, json, os, pkgutil, signal, socket, sqlite3, sys, threading, time
import traceback

control = socket.socket(fileno=int(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
import gitorch, jsonschema, pygit2, yaml
for module in pkgutil.walk_packages(gitorch.__path__, "gitorch."):
    if not module.name.startswith(("gitorch.runner.", "gitorch.__main__", "gitorch.engines.dask")):
        importlib.import_module(module.name)
from gitorch.__main__ import main
from gitorch.engines import local
del sys.path[0]

# An interpreter closes its databases when it ends. Ending it would touch all of the memory that is
# shared with the server, which takes longer than most commands, so the fork closes them itself.
connections = []
connect = sqlite3.connect


def connect_and_remember(*arguments, **options):
    connections.append(connect(*arguments, **options))
    return connections[-1]


sqlite3.connect = connect_and_remember
gc.freeze()


def become(order, descriptors):
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    sys.stdout = open(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = open(
        2, "w", 1, encoding=sys.stderr.encoding, errors="backslashreplace", closefd=False
    )
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    home = order["env"].get("HOME", "/nonexistent")
    pygit2.settings.search_path[pygit2.enums.ConfigLevel.GLOBAL] = home
    if "GITORCH_DIE_AT" in order["env"]:
        sys.path.insert(0, sys.argv[2])
        from tests import dying
        del sys.path[0]
        local._SUPERVISOR = dying.PRECEDING + local._SUPERVISOR
    os.chdir(order["cwd"])
    sys.argv = ["gitorch", *order["words"]]
    code = 0
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for connection in connections:
        connection.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def attend(order, descriptors):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    child = os.fork()
    if child == 0:
        become(order, descriptors)
    for descriptor in descriptors[:3]:
        os.close(descriptor)
    answer = socket.socket(fileno=descriptors[3])
    answer.sendall(b"%d\\n" % child)
    answer.sendall(b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    data, descriptors, _, _ = socket.recv_fds(control, 1 << 18, 4)
    if not data:
        break
    if os.fork() == 0:
        attend(json.loads(data), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
"""


class Prefork:
    """A server of one test process. It ends with that process."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        root = str(Path(__file__).parents[1])
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(theirs.fileno()), root],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Not the home of the first test: tests look for processes that have their home.
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
        )
        theirs.close()

    def run(
        self,
        words: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run `gitorch` with captured output and without input, as `subprocess.run` does.

        Raises TimeoutExpired.
        """
        order = {
            "words": list(words),
            "cwd": str(cwd),
            "env": dict(env),
            "umask": _umask(),
        }
        answer, theirs = socket.socketpair()
        # Files, not pipes: a process that outlives the program would hold a pipe open.
        with TemporaryFile() as stdout, TemporaryFile() as stderr, answer, theirs:
            with Path(os.devnull).open("rb") as nothing:
                descriptors = [
                    file.fileno() for file in (nothing, stdout, stderr, theirs)
                ]
                socket.send_fds(
                    self._control, [json.dumps(order).encode()], descriptors
                )
            theirs.close()
            code = _exit_code(answer, timeout)
            return subprocess.CompletedProcess(
                list(words), code, _text(stdout), _text(stderr)
            )

    def close(self) -> None:
        """End the server. Calls that are under way continue."""
        self._control.close()
        self._server.wait(timeout=20)


@cache
def server() -> Prefork:
    """Return the server of this process of tests. It is started by the first call."""
    return Prefork()


def _exit_code(answer: socket.socket, timeout: float) -> int:
    """Wait for the program's end. The server sends its process id first, then its exit code."""
    answer.settimeout(timeout)
    with answer.makefile("rb") as lines:
        child = int(lines.readline())
        try:
            return int(lines.readline())
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired("gitorch", timeout) from None


def _umask() -> int:
    """Return the umask of this process, which can only be read by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def needs_a_process(env: Mapping[str, str]) -> bool:
    """Return True if the call sets a variable that an interpreter reads at its start."""
    return any(name.startswith(_READ_AT_START) for name in env)
