"""The outcome of an attempt: a tagged union, each kind with the facts that are true of it."""

from __future__ import annotations

from typing import Any

from gitorch.model.json_struct import JsonStruct, from_builtins
from gitorch.model.run.outcome_kind import OutcomeKind

# `message` gives the reason in words, for example the last line of an exception. JSON has it after
# the fields of the kind, so each class that has fields of its own declares it itself.


class _Ending(JsonStruct, frozen=True, kw_only=True, tag_field="kind"):
    @property
    def kind(self) -> OutcomeKind:
        return OutcomeKind(str(self.__struct_config__.tag))


class _PlainEnding(_Ending, frozen=True, kw_only=True):
    """An outcome of which there is nothing to say but its kind and a message."""

    message: str | None = None

    def __str__(self) -> str:
        return _sentence(self.kind.replace("-", " "), self.message)


class Succeeded(_PlainEnding, frozen=True, tag=OutcomeKind.SUCCEEDED.value):
    pass


class ExitCode(_Ending, frozen=True, kw_only=True, tag=OutcomeKind.EXIT_CODE.value):
    """The program ended by itself with an exit code other than 0."""

    exit_code: int
    message: str | None = None

    def __str__(self) -> str:
        return _sentence(f"exit code {self.exit_code}", self.message)


class Signalled(_Ending, frozen=True, kw_only=True, tag=OutcomeKind.SIGNAL.value):
    """A signal ended the program. gitorch did not send it."""

    signal: int
    message: str | None = None

    def __str__(self) -> str:
        return _sentence(f"killed by signal {self.signal}", self.message)


class TimedOut(_PlainEnding, frozen=True, tag=OutcomeKind.TIMEOUT.value):
    def __str__(self) -> str:
        return _sentence("timed out", self.message)


class OutOfMemory(_PlainEnding, frozen=True, tag=OutcomeKind.OUT_OF_MEMORY.value):
    pass


class CouldNotStart(_PlainEnding, frozen=True, tag=OutcomeKind.COULD_NOT_START.value):
    pass


class Lost(_PlainEnding, frozen=True, tag=OutcomeKind.LOST.value):
    pass


class Interrupted(_PlainEnding, frozen=True, tag=OutcomeKind.INTERRUPTED.value):
    pass


class Killed(_PlainEnding, frozen=True, tag=OutcomeKind.KILLED.value):
    pass


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


def _sentence(ending: str, message: str | None) -> str:
    return f"{ending}: {message}" if message else ending
