"""The progress of a running attempt, read from its files."""

from __future__ import annotations

from typing import NamedTuple

from gitorch.model.run.progress import (
    LastMetric,
    Progress,
    first_step_of,
    from_bar,
    from_steps,
    reports_of,
)
from gitorch.model.run.progress_bar import shown_progress
from gitorch.model.workspace import AttemptDirectory
from gitorch.storage.events import ends_of, first_and_newest

_TAIL = 64 << 10  # bytes of a log in which a progress bar is looked for


class AttemptProgress(NamedTuple):
    """The progress of a running attempt and its newest metric. None: it says nothing about it."""

    progress: Progress | None = None
    metric: LastMetric | None = None


def read_progress(
    directory: AttemptDirectory, *, started_s: float, steps: int | None
) -> AttemptProgress:
    """Return the progress from the first source that is available.

    `started_s` is the Unix time of the start, and `steps` the number of steps that is declared.
    """
    first, newest = first_and_newest(directory)
    reports = reports_of(newest, first, started_s)
    progress = reports.progress or _of_bar(directory)
    if progress is None and steps is not None:
        progress = from_steps(reports, steps, first_step_of(first))
    return AttemptProgress(progress, reports.metric)


def _of_bar(directory: AttemptDirectory) -> Progress | None:
    _, tail, age_s = ends_of(directory.log, 0, _TAIL, below=directory.workspace)
    if b"%|" not in tail:
        return None
    shown = shown_progress(tail.decode("utf-8", "replace"))
    return shown and from_bar(shown, age_s)
