"""The output of an attempt: a pipe, which the attempt's slot empties into the log.

A program that opens /dev/stderr, /dev/stdout or /proc/self/fd/1 opens the pipe once more. If its
output were the log itself, it would open the log without O_APPEND, and truncate or overwrite it.
A socket could not be opened at all.

The standard library only, since slots start without site-packages.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import select
import stat
import time
from contextlib import suppress

# O_NONBLOCK: if a task has put a pipe in place of the file, opening it must not wait for a reader.
_OPEN = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_APPEND = _OPEN | os.O_RDWR | os.O_APPEND
_REPLACE = _OPEN | os.O_WRONLY | os.O_TRUNC
_CREATE = _OPEN | os.O_WRONLY | os.O_EXCL
# The size of the pipe. All pipes of a user may take 64 MiB: see pipe(7).
_CAPACITY = 256 << 10
# The pause between two reads, and the time without pauses once a quarter of the pipe was full.
_REST_S = 0.003
_FLOOD_S = 0.1


class LogPipe:
    """The pipe of one attempt. `poll` watches the end for reading until no process can write.

    The end for writing is closed once the attempt has it: the processes that can write to the pipe
    are then the attempt's own, by which `sweep` knows them.
    """

    def __init__(self, directory: str, poll: select.poll) -> None:
        """Open the log in `directory`, and name the pipe in a file beside it for `sweep`."""
        # Why output is missing in the log, and the number of bytes that are missing at its end.
        self.error: str | None = None
        self._missing = 0
        self._is_over = False
        self._rests_until: float | None = None
        self._floods_until = 0.0
        self._poll = poll
        self._directory = directory
        self._log_path = f"{directory}/log.txt"
        self._log = _open_log(self._log_path)
        self.reader, self.writer = os.pipe()
        self._descriptors = [self._log, self.reader, self.writer]
        # If the user has many pipes, the size stays at 64 KiB.
        with suppress(OSError):
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, _CAPACITY)
        os.set_blocking(self.reader, False)
        poll.register(self.reader, select.POLLIN)
        try:
            _write_number(f"{directory}/pipe", os.fstat(self.writer).st_ino)
        except OSError:
            self.close()
            raise

    def close_writer(self) -> None:
        self._descriptors.remove(self.writer)
        os.close(self.writer)

    def drain(self) -> bool:
        """Move what is in the pipe to the log. Return False if there is nothing.

        Output that cannot be written, because the disk is full, is counted and dropped. The
        attempt goes on.
        """
        try:
            output = memoryview(os.read(self.reader, _CAPACITY))
        except BlockingIOError:
            return False
        if not output:
            self._stop_polling()
            return False
        if len(output) >= _CAPACITY // 4:
            self._floods_until = time.monotonic() + _FLOOD_S
        try:
            if self._missing:
                gap = (
                    f"\ngitorch: {self._missing} bytes are missing: {self.error}\n"
                )
                os.write(self._log, gap.encode())
                self._missing = 0
            while output:
                output = output[os.write(self._log, output) :]
        except OSError as error:
            self.error = error.strerror
            self._missing += len(output)
        return True

    def rest(self) -> None:
        """Do not report the pipe as readable for a moment.

        A task that writes many lines one by one would otherwise wake the slot for each of them.
        """
        now = time.monotonic()
        if now >= self._floods_until and not self._is_over:
            self._poll.modify(self.reader, 0)
            self._rests_until = now + _REST_S

    def rests_for(self) -> float:
        """Return the seconds until the rest is over, or infinity if the pipe is not at rest."""
        if self._rests_until is None:
            return math.inf
        left = self._rests_until - time.monotonic()
        if left > 0:
            return left
        self._rests_until = None
        if not self._is_over:
            self._poll.modify(self.reader, select.POLLIN)
        return math.inf

    def drain_for(self, seconds: float) -> None:
        """Wait like `time.sleep`, and move output to the log in the meantime."""
        deadline = time.monotonic() + seconds
        ready = select.poll()
        ready.register(self.reader, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            if self._is_over:
                time.sleep(left)
            elif ready.poll(left * 1000):
                self.drain()

    def close(self) -> None:
        """Move the rest of the output to the log, and close all descriptors.

        A process outside of the attempt may still write, so at most one full pipe is moved. If the
        task has removed the log, it is written once more.
        """
        capacity = fcntl.fcntl(self.reader, fcntl.F_GETPIPE_SZ)
        for _ in range(0, capacity, _CAPACITY):
            if not self.drain():
                break
        self._stop_polling()
        if not os.path.lexists(self._log_path):
            with suppress(OSError):
                self._restore()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _restore(self) -> None:
        """Write the log, which the task has removed, once more. Leave no part of it."""
        with suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)  # noqa: PTH102
        copy = os.open(self._log_path, _CREATE, 0o600)
        position = 0
        try:
            while block := os.pread(self._log, _CAPACITY, position):
                position += os.write(copy, block)
        except OSError:
            os.unlink(self._log_path)  # noqa: PTH108
            raise
        finally:
            os.close(copy)

    def _stop_polling(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._poll.unregister(self.reader)


def _open_log(path: str) -> int:
    """Open the log. Raises OSError also if another task of the run put a pipe or a device there."""
    log = os.open(path, _APPEND, 0o600)
    if not stat.S_ISREG(os.fstat(log).st_mode):
        os.close(log)
        raise OSError(errno.EINVAL, "not a file", path)
    return log


def _write_number(path: str, number: int) -> None:
    descriptor = os.open(path, _REPLACE, 0o600)
    try:
        os.write(descriptor, b"%d" % number)
    finally:
        os.close(descriptor)
