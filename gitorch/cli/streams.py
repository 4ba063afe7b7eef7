"""The standard streams of the program. A failure to print never ends work that is under way.

The reader of a pipe may end, a terminal may close, a disk may be full, and a stream may be closed
from the start. What is printed then is lost, and the exit code states the result of the work. A
command that does nothing but print stops instead, as `gitorch list | head` should.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

_STDERR = 2
_LATER_S = 1.0


class _Stream(io.FileIO):
    """The bytes of stdout or stderr.

    With `may_fail`, a failure raises OSError. Without it, the output is lost, and `failure` is the
    error.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.may_fail = False
        self.failure: OSError | None = None

    # `FileIO.write` returns None if the descriptor does not block and is not ready.
    def write(self, data: object) -> int:
        while True:
            try:
                written: int | None = super().write(data)  # type: ignore[arg-type]
            except OSError as error:
                if self.may_fail:
                    raise
                self.failure = error
                return memoryview(data).nbytes  # type: ignore[arg-type]
            if written is not None:
                return written
            select.select([], [self], [], _LATER_S)


def prepare_streams() -> None:
    """Replace stdout and stderr, and open all three standard streams that are closed.

    No file that is opened later can then take the place of a closed stream, in this process or in
    one that it starts.
    """
    codecs.register_error("gitorch", _encode)
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is taken, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  as long as the program lives
    sys.stdout = _replaced(sys.stdout, 1)
    sys.stderr = _replaced(sys.stderr, 2)


def _replaced(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a stream that prints every character, and whose failures are handled.

    A character that the encoding of the stream lacks is printed as its escape sequence. The bytes
    of a file name that is not valid text are printed unchanged.
    """
    encoding = "utf-8"
    if stream is not None:
        encoding = stream.encoding
        with suppress(OSError):
            stream.flush()
    raw = _Stream(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="gitorch",
        newline="\n",
        line_buffering=descriptor == _STDERR or raw.isatty(),
    )


def may_fail(allowed: bool) -> None:
    """Let printing to stdout raise OSError from now on, or not."""
    stream = _raw_stdout()
    if stream is not None:
        stream.may_fail = allowed


def failure_to_print() -> OSError | None:
    """Return why something that was printed to stdout is lost, if it matters to anybody.

    A reader that has ended has seen enough.
    """
    stream = _raw_stdout()
    if stream is None or stream.failure is None:
        return None
    if stream.failure.errno == errno.EPIPE:
        return None
    return stream.failure


def _raw_stdout() -> _Stream | None:
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", None)
    return raw if isinstance(raw, _Stream) else None


def _encode(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    encoded = b""
    for character in error.object[error.start : error.end]:
        # A byte that os.fsdecode could not decode.
        if "\udc80" <= character <= "\udcff":
            encoded += os.fsencode(character)
        else:
            encoded += character.encode("ascii", "backslashreplace")
    return encoded, error.end
