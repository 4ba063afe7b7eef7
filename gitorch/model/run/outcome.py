"""The outcome of an attempt: a tagged union with one class for each kind of outcome."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gitorch.model.json_struct import JsonStruct, from_builtins
from gitorch.model.run.outcome_kind import OutcomeKind

# `message` gives the reason in words, for example the last line of an exception. In JSON it comes
# after the fields that only one kind has. So a class with such fields declares `message` again.


class _Ending(JsonStruct, frozen=True, kw_only=True, tag_field="kind"):
    """An outcome of any kind. JSON has the kind as `kind`."""

    @property
    def kind(self) -> OutcomeKind:
        return OutcomeKind(str(self.__struct_config__.tag))


class _PlainEnding(_Ending, frozen=True, kw_only=True):
    """An outcome that has no facts but its kind and a message."""

    message: str | None = None

    def __str__(self) -> str:
        return _sentence(self.kind.replace("-", " "), self.message)


class Succeeded(_PlainEnding, frozen=True, tag=OutcomeKind.SUCCEEDED.value):
    """The program ended by itself with exit code 0."""


class ExitCode(_Ending, frozen=True, kw_only=True, tag=OutcomeKind.EXIT_CODE.value):
    """The program ended by itself, and its exit code is not 0 or its work cannot be accepted."""

    exit_code: int
    message: str | None = None

    def __str__(self) -> str:
        return _sentence(f"exit code {self.exit_code}", self.message)


class Signalled(_Ending, frozen=True, kw_only=True, tag=OutcomeKind.SIGNAL.value):
    """The program was ended by a signal that gitorch did not send."""

    signal: int
    message: str | None = None

    def __str__(self) -> str:
        return _sentence(f"killed by signal {self.signal}", self.message)


class TimedOut(_PlainEnding, frozen=True, tag=OutcomeKind.TIMEOUT.value):
    """The program ran longer than the task's `timeout` and was ended by gitorch."""

    def __str__(self) -> str:
        return _sentence("timed out", self.message)


class OutOfMemory(_PlainEnding, frozen=True, tag=OutcomeKind.OUT_OF_MEMORY.value):
    """The program was killed, and the kernel's count of out-of-memory kills had grown."""


class CouldNotStart(
    _PlainEnding, frozen=True, tag=OutcomeKind.COULD_NOT_START.value
):
    """The program was never started. `message` says which preparation failed."""


class Lost(_PlainEnding, frozen=True, tag=OutcomeKind.LOST.value):
    """The worker or its slot died, so it is unknown how the attempt would have ended."""


class Interrupted(_PlainEnding, frozen=True, tag=OutcomeKind.INTERRUPTED.value):
    """The worker was asked to stop. This is not an error of the task, which is tried again."""


class Killed(_PlainEnding, frozen=True, tag=OutcomeKind.KILLED.value):
    """gitorch ended the program because the run was to be killed."""


Outcome = (
    Succeeded
    | ExitCode
    | Signalled
    | TimedOut
    | OutOfMemory
    | CouldNotStart
    | Lost
    | Interrupted
    | Killed
)


def read_outcome(value: Any) -> Outcome:
    """Return the outcome that has this JSON. Raises ValueError if there is none."""
    outcome: Outcome = from_builtins(value, Outcome)
    return outcome


def without_log(outcome: Outcome, reason: str) -> Outcome:
    """Return the outcome of an attempt if a part of its output is not in its log.

    The attempt has not succeeded then, since its record would not be complete.
    """
    message = f"a part of its output is not in the log: {reason}"
    if isinstance(outcome, Succeeded):
        return ExitCode(exit_code=0, message=message)
    if outcome.message:
        message = f"{outcome.message}; {message}"
    return replace(outcome, message=message)


def _sentence(ending: str, message: str | None) -> str:
    return f"{ending}: {message}" if message else ending
