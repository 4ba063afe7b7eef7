"""What a worker tells about its work while it works: values, shown by whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gitorch.model.run.outcome import Outcome
from gitorch.model.run.status import Status


class AttemptStarted(Struct, frozen=True, kw_only=True):
    run: str
    label: str
    task: str
    number: int
    events: Path  # the file that the attempt reports its progress to


class AttemptEnded(Struct, frozen=True, kw_only=True):
    """`status` is the task's, `run_status` the run's; `tail` and `location` (file:line) explain a failure."""

    run: str
    label: str
    task: str
    number: int
    status: Status
    run_status: Status
    outcome: Outcome
    duration_s: float
    tail: tuple[str, ...] = ()
    location: str | None = None
    has_unkept_files: bool = False  # its outputs could not all be kept: the live ones stay


class TaskReused(Struct, frozen=True, kw_only=True):
    """A task is complete without having run: it was given the results that the run `source` has computed."""

    run: str
    label: str
    task: str
    source: str
    run_status: Status


class Noticed(Struct, frozen=True, kw_only=True):
    """Something worth a line: a lost worker's task taken back, a worktree that could not be removed."""

    message: str


Announcement = AttemptStarted | AttemptEnded | TaskReused | Noticed
Listener = Callable[[Announcement], None]
