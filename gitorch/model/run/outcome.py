"""How an attempt ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    SUCCEEDED = "succeeded"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    COULD_NOT_START = "could-not-start"
    LOST = "lost"  # the worker died and nobody saw the end
    INTERRUPTED = "interrupted"  # the worker was asked to stop: no fault of the task
    KILLED = "killed"


class Outcome(NamedTuple):
    """An outcome carries the fact that is true of its kind, the others are None."""

    kind: Kind
    exit_code: int | None = None  # EXIT_CODE
    signal: int | None = None  # SIGNAL
    message: str | None = (
        None  # the reason in words: an exception's last line, why it could not start, …
    )

    def to_json(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in (
                ("kind", str(self.kind)),
                ("exit_code", self.exit_code),
                ("signal", self.signal),
                ("message", self.message),
            )
            if value is not None
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Outcome:
        return cls(
            kind=Kind(value["kind"]),
            exit_code=value.get("exit_code"),
            signal=value.get("signal"),
            message=value.get("message"),
        )

    def __str__(self) -> str:
        match self.kind:
            case Kind.EXIT_CODE:
                head = f"exit code {self.exit_code}"
            case Kind.SIGNAL:
                head = f"killed by signal {self.signal}"
            case Kind.TIMEOUT:
                head = "timed out"
            case Kind.OUT_OF_MEMORY:
                head = "out of memory"
            case Kind.COULD_NOT_START:
                head = "could not start"
            case other:
                head = str(other)
        return f"{head}: {self.message}" if self.message else head
