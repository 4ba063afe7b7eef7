"""The events that an attempt reports while it runs: JSON lines, written by any program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gitorch.model.run.metrics import last_progress

_TAIL = 64 << 10  # bytes; enough for the newest report of any task


def read_events(path: Path) -> Iterator[Any]:
    """Yield all events. Lines that are not JSON, such as an unfinished last line, are skipped."""
    try:
        with path.open("rb") as file:
            yield from _parsed(file)
    except OSError:
        return


def read_progress(path: Path) -> tuple[float, float] | None:
    """Return the newest (done, total), read from the end of the file only."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            return last_progress(_parsed(file.read().splitlines()))
    except OSError:
        return None


def _parsed(lines: Iterable[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue
