"""Runs `gitorch` on a pseudo-terminal, as a user sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_DEADLINE_S = 20.0
# When the leader of a session ends, Linux discards what nobody has read from its terminal. This
# leader writes down the exit code of the program, and stays until it is killed.
_LEADER = 'trap : INT; file=$1; shift; "$@"; echo $? >"$file.new"; mv "$file.new" "$file"; sleep 60'
_SETTLED_S = 0.1


class Seen(NamedTuple):
    """Everything that was written to the terminal, and the exit code."""

    text: str
    code: int

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def on_terminal(
    root: Path,
    *words: str | Path,
    columns: int = 80,
    rows: int = 24,
    answers: Sequence[tuple[str, str | Callable[[], str]]] = (),
    env: dict[str, str] | None = None,
    program: Sequence[str] = (sys.executable, "-m", "gitorch"),
) -> Seen:
    """Run the program on a terminal of this size, which is its controlling terminal.

    Each answer is a pair: once the text has appeared, the keys are typed (`\\x03` is Ctrl-C). A
    function may do something at that moment, and returns the keys.
    """
    with tempfile.TemporaryDirectory() as directory:
        return _seen(
            root,
            [*program, *map(str, words)],
            columns,
            rows,
            answers,
            env,
            Path(directory, "code"),
        )


def _seen(
    root: Path,
    command: list[str],
    columns: int,
    rows: int,
    answers: Sequence[tuple[str, str | Callable[[], str]]],
    env: dict[str, str] | None,
    code: Path,
) -> Seen:
    leader, follower = pty.openpty()
    size = struct.pack("HHHH", rows, columns, 0, 0)
    fcntl.ioctl(follower, termios.TIOCSWINSZ, size)
    attributes = termios.tcgetattr(follower)
    # Otherwise Ctrl-C discards what the program prints before the terminal has handled the key.
    attributes[3] |= termios.NOFLSH
    termios.tcsetattr(follower, termios.TCSANOW, attributes)
    process = subprocess.Popen(
        ["sh", "-c", _LEADER, "sh", code, *command],
        cwd=root,
        env={**os.environ, "TERM": "xterm", "PAGER": "cat", **(env or {})},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    read = b""
    unseen = 0  # where the text of the next answer may begin
    waiting = list(answers)
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        has_ended = code.exists()
        if not select.select([leader], [], [], _SETTLED_S)[0]:
            if has_ended:
                break
            continue
        try:
            block = os.read(leader, 1 << 16)
        except OSError:  # Linux reports the end of a terminal as an error
            break
        if not block:
            break
        read += block
        while waiting and waiting[0][0].encode() in read[unseen:]:
            awaited, keys = waiting.pop(0)
            unseen = read.index(awaited.encode(), unseen) + len(awaited.encode())
            typed = keys if isinstance(keys, str) else keys()
            os.write(leader, typed.encode())
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(leader)
    return Seen(read.decode().replace("\r\n", "\n"), int(code.read_text()))
