"""Announcements: the values with which a worker reports its progress to a listener."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gitorch.model.run.record import Attempt
from gitorch.model.run.status import Status


class AttemptStarted(Struct, frozen=True, kw_only=True):
    """The start of attempt `number` at a task. `label` is the label of its run."""

    run_id: str
    label: str
    task: str
    number: int
    events: Path  # the file to which the attempt reports its progress


class AttemptEnded(Struct, frozen=True, kw_only=True):
    """The end of an attempt, as it is recorded.

    `status` is the new status of the task. `run_status` is the new status of the run. `tail` has
    the last lines of the log of a failure, and `hint` says what to do about it.
    """

    run_id: str
    label: str
    task: str
    attempt: Attempt
    status: Status
    run_status: Status
    tail: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def has_unkept_files(self) -> bool:
        """Return True if an output could not be kept. Then the live outputs must not be deleted."""
        return bool(self.attempt.notes)


class TaskReused(Struct, frozen=True, kw_only=True):
    """The completion of a task without an attempt: it reuses the results of the run `source`."""

    run_id: str
    label: str
    task: str
    source: str
    run_status: Status


class AttemptRefused(Struct, frozen=True, kw_only=True):
    """The end of an attempt that was not accepted, and why.

    `files` is the directory in which its log is kept, None if nothing is kept. `has_outputs` is
    True if its outputs are there too. `was_killed` is True if the run was killed, so that the end
    was not wanted.
    """

    run_id: str
    label: str
    task: str
    number: int
    why: str
    files: Path | None = None
    has_outputs: bool = False
    was_killed: bool = False


class Noticed(Struct, frozen=True, kw_only=True):
    """A message that does not concern an attempt, such as: a worktree could not be removed."""

    message: str


Announcement = AttemptStarted | AttemptEnded | TaskReused | AttemptRefused | Noticed
# What the commit of an ended attempt, or of a reused result, leads to.
Committal = AttemptEnded | TaskReused | AttemptRefused
Listener = Callable[[Announcement], None]
