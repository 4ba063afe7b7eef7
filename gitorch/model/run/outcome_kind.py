"""The kinds of outcome, by their names in JSON.

This module uses the standard library only, since the slots of an engine import it.
"""

from __future__ import annotations

from enum import StrEnum


class OutcomeKind(StrEnum):
    """The kind of an outcome, which is the tag of its class."""

    SUCCEEDED = "succeeded"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    COULD_NOT_START = "could-not-start"
    LOST = "lost"  # the worker died, so the end of the attempt is unknown
    INTERRUPTED = (
        "interrupted"  # the worker was asked to stop: not an error of the task
    )
    KILLED = "killed"
