"""The request that a worker stops: a file beside its lock, at which the worker looks.

A signal would not do. A job of a script ignores SIGINT, a worker in another container has no pid
here, and a pid may name another process by now.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

from gitorch.tools.files import read_small, write_aside


class Stops(IntEnum):
    """The requests to stop a worker, as the number of Ctrl-C that ask for the same."""

    NONE = 0
    FINISH = 1  # its running tasks end first
    NOW = 2  # its running tasks return to the queue


def request_stop_of(file: Path, stops: Stops) -> None:
    """Ask the worker with this file to stop. A request to stop now is never taken back."""
    write_aside(file, str(max(stops, requested_stops(file))).encode(), mode=0o600)


def requested_stops(file: Path) -> Stops:
    """Return how the worker with this file is asked to stop."""
    try:
        return Stops(int(read_small(file)))
    except (OSError, ValueError):
        return Stops.NONE
