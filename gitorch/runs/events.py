"""What attempts report while they run: JSON lines, by any program, whole or not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gitorch.model.run.metrics import last_progress

_TAIL = 64 << 10  # holds the newest report of any task


def read_events(path: Path) -> Iterator[Any]:
    """All events; what is no JSON is passed over."""
    try:
        with path.open("rb") as file:
            yield from _parsed(file)
    except OSError:
        return


def read_progress(path: Path) -> tuple[float, float] | None:
    """The newest (done, total), from the end of the file alone."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            return last_progress(_parsed(file.read().splitlines()))
    except OSError:
        return None


def _parsed(lines: Iterable[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue
