"""The events that an attempt reports while it runs: JSON lines, written by any program."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gitorch.model.workspace import AttemptDirectory
from gitorch.tools.untrusted import (
    in_mebibytes,
    lines,
    open_file,
    open_plain,
    reason,
)

LONGEST_EVENT = 1 << 20  # bytes
# In bytes. If a task reports more, only the newest events are read.
MOST_EVENTS = 1 << 28
_TAIL = 64 << 10  # bytes; enough for the newest report of any task
_HEAD = 4 << 10


class Events:
    """The events of an attempt. After they were iterated over, `notes` says what was not read.

    Lines that are not JSON, such as an unfinished last line, are skipped.
    """

    def __init__(self, directory: AttemptDirectory) -> None:
        self._directory = directory
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Any]:
        path = self._directory.events
        try:
            with open_file(path, below=self._directory.workspace) as file:
                unread = os.fstat(file.fileno()).st_size - MOST_EVENTS
                if unread > 0:
                    self.notes.append(
                        f"the first {in_mebibytes(unread)} of its events are not read"
                    )
                    file.seek(unread)
                yield from self._events(lines(file, LONGEST_EVENT))
        except FileNotFoundError:
            return
        except OSError as error:
            self.notes.append(f"its events are not read: {reason(error)}")

    def _events(self, found: Iterable[Any]) -> Iterator[Any]:
        long = 0
        for line in found:
            if line.is_too_long:
                long += 1
            else:
                yield from _parsed([line.data])
        if long:
            limit = in_mebibytes(LONGEST_EVENT)
            self.notes.append(
                f"{long} of its events are not read: a line has more than {limit}"
            )


def first_and_newest(directory: AttemptDirectory) -> tuple[list[Any], list[Any]]:
    """Return the first and the newest events of a running attempt; the others are not read.

    A file that cannot be read has no events.
    """
    head, tail, _ = ends_of(
        directory.events, _HEAD, _TAIL, below=directory.workspace
    )
    return list(_parsed(head.splitlines())), list(_parsed(tail.splitlines()))


def ends_of(
    path: Path, head: int, tail: int, *, below: Path
) -> tuple[bytes, bytes, float]:
    """Return the first and the last bytes of a file that may be untrusted, and its age in seconds.

    They are empty if the file cannot be read.
    """
    try:
        descriptor = open_plain(path, below=below)
    except OSError:
        return b"", b"", 0.0
    try:
        state = os.fstat(descriptor)
        start = max(0, state.st_size - tail)
        end = os.pread(descriptor, tail, start)
        begin = end[:head] if start == 0 else os.pread(descriptor, head, 0)
    except OSError:
        return b"", b"", 0.0
    finally:
        os.close(descriptor)
    return begin, end, max(0.0, time.time() - state.st_mtime)


def _parsed(lines: Iterable[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue
