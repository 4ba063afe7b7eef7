"""The contract of an engine, which executes orders and reports how they ended.

An order is a command, never a function, so that it can travel to another machine. The truth about
the end of an attempt is the attempt's own record, `status.json` in its directory. The engine's
report is only a hint: whoever comes later reads the record with `recorded_end`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from gitorch.model.json_struct import JsonStruct, always
from gitorch.model.run.outcome import Outcome
from gitorch.model.workspace import AttemptDirectory
from gitorch.tools import clock


class Order(NamedTuple):
    """One attempt to execute.

    The directory exists; the attempt's log and status are written into it.
    """

    token: str  # names this attempt and never another one
    directory: Path
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float | None = None
    grace_s: float = 3.0  # the time from asking its processes to end until killing them


class Ended(JsonStruct, frozen=True, kw_only=True):
    """The end of an attempt, all of whose processes have ended.

    `status.json` is its JSON; slots write it too.
    """

    token: str
    outcome: Outcome
    started: str  # RFC 3339, UTC, milliseconds
    ended: str
    duration_s: float  # by the monotonic clock
    left_running: int = always(0)  # processes that outlived the program, and were ended

    @classmethod
    def unrecorded(
        cls, token: str, outcome: Outcome, *, started: str | None = None, duration_s: float = 0.0
    ) -> Ended:
        """Return the end of an attempt that left no record of its own; the end is dated now.

        Without `started` the attempt never started.
        """
        ended = clock.now()
        return cls(
            token=token,
            outcome=outcome,
            started=started or ended,
            ended=ended,
            duration_s=duration_s,
        )


def recorded_end(directory: Path, token: str) -> Ended | None:
    """Return the end that the attempt itself recorded in its directory.

    Return None if there is no readable record with this `token`.
    """
    try:
        ended = Ended.from_json(json.loads(AttemptDirectory(directory).status.read_bytes()))
    except (OSError, ValueError):
        return None
    return ended if ended.token == token else None


class Engine(Protocol):
    """Executes orders, several at a time. Used by one thread; a context manager.

    Leaving the context ends what still runs.
    """

    @property
    def slots(self) -> int:
        """Return how many orders the engine can have at once."""

    @property
    def poll_interval_s(self) -> float | None:
        """Return how often to poll even if no descriptor is readable, or None for never."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def submit(self, order: Order) -> None:
        """Start an attempt.

        There must be a free slot. An order whose token was submitted before is ignored.
        """

    def poll(self) -> list[Ended]:
        """Return the ends since the last call, each of them once. Never waits."""

    def descriptors(self) -> list[int]:
        """Return file descriptors, one of which is readable when `poll` has news.

        They may change with every `poll`.
        """

    def cancel(self, token: str, outcome: Outcome) -> None:
        """End an attempt.

        `poll` returns its end with this outcome, or with its own outcome if the attempt ended by
        itself just before. A token that is not running is ignored.
        """

    def free(self) -> int:
        """Return how many orders the engine can take now."""
