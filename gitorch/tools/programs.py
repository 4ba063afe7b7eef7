"""Running a program to its end. The end of the program counts, not the end of its output.

A program can start a daemon that inherits its output, as git does with the cache of credentials.
The pipes then stay open for as long as the daemon lives.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gitorch.tools.anonymous import anonymous_file
from gitorch.tools.pidfd import end_of
from gitorch.tools.waits import Wait

_CHUNK = 1 << 18
_LOOK_MS = 250
_KILLED_S = 5.0


class TookTooLong(Exception):
    """A program did not end within its time."""


def run_program(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    awaited: str,
    cwd: Path | None = None,
    input: bytes | None = None,
    stdin: int = subprocess.DEVNULL,
    bound_s: float = math.inf,
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run a program until it ends, with any exit code, and return its output.

    The program has a session of its own: it cannot ask on the user's terminal, and it is killed
    with its children if the wait is interrupted. `awaited` says what a long wait is for. Raises
    OSError if the program does not start, TookTooLong, UserInterrupted.
    """
    with standard_input(input, stdin) as source:
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    assert process.stdout is not None  # noqa: S101  because stdout=PIPE
    assert process.stderr is not None  # noqa: S101  because stderr=PIPE
    with process.stdout, process.stderr:
        try:
            pipes = (process.stdout.fileno(), process.stderr.fileno())
            stdout, stderr = _read_until_exit(
                process, pipes, Wait(awaited, bound_s=bound_s)
            )
        except BaseException:
            _kill(process)
            raise
    code = process.wait()
    return subprocess.CompletedProcess(command, code, stdout, stderr)


@contextmanager
def standard_input(
    input: bytes | None, stdin: int = subprocess.DEVNULL
) -> Iterator[int]:
    """Yield the standard input of a program: a descriptor that gives `input`, or `stdin`."""
    if input is None:
        yield stdin
        return
    # A pipe would fill up while the program waits for its output to be read.
    descriptor = anonymous_file("input")
    with os.fdopen(descriptor, "wb") as file:
        file.write(input)
        file.flush()
        file.seek(0)
        yield descriptor


def _read_until_exit(
    process: subprocess.Popen[bytes], pipes: tuple[int, int], wait: Wait
) -> list[bytes]:
    """Return what the process writes to each of the pipes until it ends."""
    chunks: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
    with end_of(process.pid) as death:
        poll = select.poll()
        poll.register(death, select.POLLIN)
        for pipe in pipes:
            os.set_blocking(pipe, False)
            poll.register(pipe, select.POLLIN)
        open_pipes = set(pipes)
        has_ended = False
        while not has_ended:
            wait.check()
            if not wait.remaining_s:
                raise TookTooLong
            ready = [descriptor for descriptor, _ in poll.poll(_LOOK_MS)]
            # What was written before the end is in the pipes then.
            has_ended = death in ready
            for pipe in list(open_pipes):
                if (pipe in ready or has_ended) and _drain(pipe, chunks[pipe]):
                    poll.unregister(pipe)
                    open_pipes.discard(pipe)
    return [b"".join(chunks[pipe]) for pipe in pipes]


def _drain(pipe: int, chunks: list[bytes]) -> bool:
    """Read what is in a pipe. Return True if its end is reached."""
    with suppress(BlockingIOError):
        while chunk := os.read(pipe, _CHUNK):
            chunks.append(chunk)
        return True
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process with its children, except those that have a session of their own."""
    # The process is not reaped yet, so no other process can have its id.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # A process that waits for a broken disk or GPU does not even end when it is killed.
    with suppress(subprocess.TimeoutExpired):
        process.wait(_KILLED_S)
