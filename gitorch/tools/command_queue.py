"""A command that is run again and again in a thread, without holding up the rest of the program."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

LIMIT_S = 30.0
_MOST_PENDING = 100
_KILLED_S = 5.0
_TAIL = 4096  # bytes of the output, in which its last line is looked for


class CommandQueue:
    """Runs a shell command once for each set of variables, one after the other.

    What the command prints is discarded. A command that fails or takes longer than `limit_s` is
    reported, the same failure once.
    """

    def __init__(
        self,
        command: str,
        directory: Path,
        environment: Mapping[str, str],
        report: Callable[[str], object],
        *,
        limit_s: float = LIMIT_S,
    ) -> None:
        """`report` is called with a sentence, from the thread or in `close`."""
        self._command = command
        self._directory = directory
        self._environment = environment
        self._report = report
        self._limit_s = limit_s
        self._reported: set[str] = set()
        self._pending: deque[Mapping[str, str]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._deadline = float("inf")
        self._left_out = 0
        self._thread = threading.Thread(
            target=self._work, name="command-queue", daemon=True
        )
        self._thread.start()

    def add(self, variables: Mapping[str, str]) -> None:
        """Run the command with these variables, unless too many wait already."""
        with self._changed:
            if len(self._pending) >= _MOST_PENDING:
                self._left_out += 1
                return
            self._pending.append(variables)
            self._changed.notify()

    def close(self, last: Mapping[str, str] | None) -> None:
        """Run what waits, then the command with the variables `last` if there are any.

        After `limit_s`, what still waits is left out.
        """
        with self._changed:
            self._is_closed = True
            self._deadline = time.monotonic() + self._limit_s
            self._changed.notify()
        self._thread.join()
        if self._left_out:
            self._report(
                f"it was left out {self._left_out} times, because it takes too long"
            )
        if last is not None:
            self._run(last, self._limit_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._is_closed:
                    self._changed.wait()
                if time.monotonic() >= self._deadline:
                    self._left_out += len(self._pending)
                    return
                if not self._pending:
                    return
                variables = self._pending.popleft()
            self._run(variables, self._limit_s)

    def _run(self, variables: Mapping[str, str], limit_s: float) -> None:
        with TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    ["sh", "-c", self._command],
                    cwd=self._directory,
                    env={**self._environment, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                self._say(f"it cannot be started: {error}")
                return
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self._say(f"it was ended after {limit_s:g} s")
                return
            finally:
                _end(process)
            if code:
                self._say(_how_it_ended(code), _last_line(output))

    def _say(self, failure: str, details: str = "") -> None:
        if failure not in self._reported:
            self._reported.add(failure)
            self._report(failure + details)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with its children, if it still runs."""
    if process.poll() is not None:
        return
    # The process is not reaped yet, so no other process can have its id.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_KILLED_S)


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"it was ended by signal {-code}"
    return f"it exited with {code}"


def _last_line(output: IO[bytes]) -> str:
    """Return the last line that a command has printed, as an addition to a sentence."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL))
    lines = output.read().decode(errors="replace").split("\n")
    words = [line.strip() for line in lines if line.strip()]
    return f": {words[-1][:200]}" if words else ""
