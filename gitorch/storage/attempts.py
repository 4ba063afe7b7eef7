"""The attempts of runs that have files of their own on the results branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Attempt, Record
from gitorch.model.run.record_file import read_attempt
from gitorch.storage.site import Site


class EarlierAttempt(NamedTuple):
    """An attempt of a task before its last one. `attempt` is None if it cannot be read."""

    task: str
    number: int
    path: str  # of its `attempt.json` on the results branch
    attempt: Attempt | None


def earlier_attempts(site: Site, *records: Record) -> Iterator[EarlierAttempt]:
    """Yield the attempts that these records do not contain, oldest first for each task.

    A number that was claimed, and returned before the attempt was executed, leaves a gap.
    """
    places = []
    for record in records:
        for task in record.tasks:
            for number in range(1, task.attempt_count):
                path = RunPaths.of(record.id).attempt(task.id, number).attempt
                places.append((task.id, number, path))
    contents = site.results.read_all([path for _, _, path in places])
    for (task_id, number, path), data in zip(places, contents, strict=True):
        if data is not None:
            yield EarlierAttempt(task_id, number, path, read_attempt(data))
