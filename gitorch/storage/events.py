"""The events that an attempt reports while it runs: JSON lines, written by any program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gitorch.model.run.metrics import last_progress
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


def read_progress(path: Path) -> tuple[float, float] | None:
    """Return the newest (done, total), read from the end of the file only."""
    try:
        descriptor = open_plain(path, below=AttemptDirectory(path.parent).workspace)
    except OSError:
        return None
    try:
        start = max(0, os.fstat(descriptor).st_size - _TAIL)
        tail = os.pread(descriptor, _TAIL, start)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return last_progress(_parsed(tail.splitlines()))


def _parsed(lines: Iterable[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue
