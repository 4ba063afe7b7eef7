"""Starting the program of an attempt in a session of its own.

Standard library only, since the slots start without site-packages.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any, NoReturn

# Attempts have the default action for all signals, whatever the caller of gitorch ignores.
_DEFAULT_IN_ATTEMPTS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def start_program(order: Mapping[str, Any], null: int, output: int) -> int:
    """Start the order's program and return its pid.

    The program has a session of its own, and an empty standard input. Raises OSError, ValueError.
    """
    # posix_spawn(3) cannot set a working directory. The slot may change its own, since it executes
    # only one attempt at a time.
    os.chdir(order["cwd"])
    try:
        program = _program(order["argv"][0], order["env"])
        streams = (null, output, output)
        try:
            return _spawn(program, order, streams)
        except (
            NotImplementedError
        ):  # posix_spawn(3) of glibc before 2.26 has no `setsid`
            return _fork(program, order, streams)
    finally:
        os.chdir("/")


def _spawn(program: str, order: Mapping[str, Any], streams: tuple[int, ...]) -> int:
    actions = []
    for target, stream in enumerate(streams):
        actions.append((os.POSIX_SPAWN_DUP2, stream, target))
    return os.posix_spawn(
        program,
        order["argv"],
        order["env"],
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=_DEFAULT_IN_ATTEMPTS,
    )


def _fork(program: str, order: Mapping[str, Any], streams: tuple[int, ...]) -> int:
    """Start a program as `_spawn` does, in ten times the time."""
    reader, writer = os.pipe()  # the new program does not inherit them
    pid = os.fork()
    if pid == 0:
        _become(program, order, streams, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        number = file.read()
    if number:
        os.waitpid(pid, 0)
        raise OSError(int(number), os.strerror(int(number)), program)
    return pid


def _become(
    program: str, order: Mapping[str, Any], streams: tuple[int, ...], failed: int
) -> NoReturn:
    """Execute a program in this process, or write the number of the error to `failed`."""
    number = errno.EINVAL
    try:
        os.setsid()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        for caught in _DEFAULT_IN_ATTEMPTS:
            signal.signal(caught, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(program, order["argv"], order["env"])  # noqa: S606
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(failed, str(number).encode())
        os._exit(1)


def _program(name: str, env: Mapping[str, str]) -> str:
    """Return the path of a program, searched on the PATH of `env`.

    posix_spawnp(3) would search the PATH of this process. Raises FileNotFoundError.
    """
    if "/" in name:
        return name
    search_path = env.get("PATH", os.defpath)
    for directory in search_path.split(os.pathsep):
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            continue
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, "no such program on PATH", name)
