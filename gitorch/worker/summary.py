"""What a worker did, from what it announced."""

from __future__ import annotations

from msgspec import Struct, field

from gitorch.model.run.announcement import (
    Announcement,
    AttemptEnded,
    AttemptRefused,
    TaskReused,
)
from gitorch.model.run.status import Status


class Summary(Struct):
    """The runs of which tasks ended, and the ends that were not accepted."""

    # Label and last status, by run id.
    runs: dict[str, tuple[str, Status]] = field(default_factory=dict)
    refused: list[AttemptRefused] = field(default_factory=list)
    interrupted: bool = False  # the user asked it to stop

    def note(self, announcement: Announcement) -> None:
        match announcement:
            case AttemptEnded() | TaskReused():
                run = (announcement.label, announcement.run_status)
                self.runs[announcement.run_id] = run
            case AttemptRefused():
                self.refused.append(announcement)
