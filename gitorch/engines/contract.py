"""What an engine is: something that runs orders and says how they ended.

An order is a command, never a function, so that it can travel. The attempt's own record, `status.json` in its
directory, is the truth about its end and an engine's word a hint: whoever comes later reads it with `recorded_end`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from gitorch.model.run.outcome import Kind, Outcome
from gitorch.model.workspace import AttemptDirectory


class Order(NamedTuple):
    """One attempt to execute. The directory exists; the attempt's log and status are written into it."""

    token: str  # names the attempt, and no other one ever
    directory: Path
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float | None = None
    grace_s: float = 3.0  # from being asked to end until being made to


class Ended(NamedTuple):
    """How an attempt ended. Of its processes none is left."""

    token: str
    outcome: Outcome
    started: str  # RFC 3339, UTC, milliseconds
    ended: str
    duration_s: float  # by the monotonic clock
    left_running: int = (
        0  # processes that were still there after the program itself had ended, and were ended
    )

    def to_json(self) -> dict[str, Any]:
        return {
            "token": self.token,
            "outcome": self.outcome.to_json(),
            "started": self.started,
            "ended": self.ended,
            "duration_s": self.duration_s,
            "left_running": self.left_running,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ended:
        return cls(
            token=value["token"],
            outcome=Outcome.from_json(value["outcome"]),
            started=value["started"],
            ended=value["ended"],
            duration_s=value["duration_s"],
            left_running=value["left_running"],
        )


def recorded_end(directory: Path, token: str) -> Ended | None:
    """The end that the attempt itself recorded in its directory; None if there is none that bears `token`."""
    try:
        value = json.loads(AttemptDirectory(directory).status.read_bytes())
        return Ended.from_json(value) if value["token"] == token else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Capabilities(NamedTuple):
    """What may be relied on."""

    ends_everything: bool  # also processes that left their session or cleared their environment
    outlives_worker: bool  # attempts go on when the worker ends


class Engine(Protocol):
    """Executes orders, several at a time. Used by one thread; a context manager.

    Leaving the context ends what still runs, unless the engine outlives its worker.
    """

    @property
    def slots(self) -> int:
        """How many orders it can have at once."""

    @property
    def poll_interval_s(self) -> float | None:
        """How often to poll even if no descriptor is readable; None: never."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def submit(self, order: Order) -> None:
        """Start an attempt. Needs a free slot; a token that is known already is not started again."""

    def poll(self) -> list[Ended]:
        """The ends since the last call, each told once. Never waits."""

    def descriptors(self) -> list[int]:
        """File descriptors, one of which is readable when `poll` has news; they may change with every `poll`."""

    def cancel(self, token: str, kind: Kind) -> None:
        """Have an attempt ended; its end comes by `poll` with `kind`, or as it ended by itself just before.

        A token that is not running is passed over.
        """

    def free(self) -> int:
        """How many orders it can take just now."""

    def capabilities(self) -> Capabilities:
        """What this engine promises beyond the contract."""
