"""The notes on files that cannot be kept, for the record of an attempt."""

from __future__ import annotations

import errno

from gitorch.git.store.artifacts import TooLarge, Unkeepable
from gitorch.tools.untrusted import reason

_MOST = 20  # notes of one attempt; a task can leave a million pipes
_LONGEST_NAME = 200  # characters


class TooDeep(Unkeepable):
    """A directory with too many directories above it."""


class UnkeptNotes:
    """The notes of one attempt: the first ones, and the number of the others.

    `failure` is the first note on a file that nothing is wrong with, except that it is too large or
    too deep. An attempt that leaves such a file has not succeeded, since its results are missing.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self._notes: list[str] = []
        self._others = 0

    def add(self, name: str, error: OSError | Unkeepable) -> None:
        note = f"{shortened(name)} is not kept: {_reason(error)}"
        self.add_text(note)
        if _is_of_results(error):
            self.failure = self.failure or note

    def add_text(self, note: str) -> None:
        if len(self._notes) < _MOST:
            self._notes.append(note)
        else:
            self._others += 1

    def shown(self) -> tuple[str, ...]:
        if not self._others:
            return tuple(self._notes)
        return (*self._notes, f"{self._others} more files are not kept")


def _reason(error: OSError | Unkeepable) -> str:
    cause = error.__cause__ if isinstance(error, Unkeepable) else error
    if isinstance(cause, OSError):
        return reason(cause)  # without the path, which may be very long
    return str(error)


def _is_of_results(error: OSError | Unkeepable) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENAMETOOLONG
    return isinstance(error, TooLarge | TooDeep)


def shortened(name: str) -> str:
    """Return a name without its middle part if it is too long to be shown."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = _LONGEST_NAME // 2
    return f"{name[:half]}…{name[-half:]}"
