"""What a worker says about its work while it works: values, which the listener shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gitorch.model.run.record import Attempt
from gitorch.model.run.status import Status


class AttemptStarted(Struct, frozen=True, kw_only=True):
    run_id: str
    label: str
    task: str
    number: int
    events: Path  # the file to which the attempt reports its progress


class AttemptEnded(Struct, frozen=True, kw_only=True):
    """The end of an attempt, as it is in the record.

    `status` is the task's, `run_status` the run's. `tail` (the last lines of the log) and
    `location` (file:line) explain a failure.
    """

    run_id: str
    label: str
    task: str
    attempt: Attempt
    status: Status
    run_status: Status
    tail: tuple[str, ...] = ()
    location: str | None = None

    @property
    def has_unkept_files(self) -> bool:
        """Return True if not all outputs could be kept, so that the live ones must stay."""
        return bool(self.attempt.notes)


class TaskReused(Struct, frozen=True, kw_only=True):
    """A task is complete because it was given the results that the run `source` computed."""

    run_id: str
    label: str
    task: str
    source: str
    run_status: Status


class Noticed(Struct, frozen=True, kw_only=True):
    """Something worth a line of its own: a worktree could not be removed, for example."""

    message: str


Announcement = AttemptStarted | AttemptEnded | TaskReused | Noticed
Listener = Callable[[Announcement], None]
