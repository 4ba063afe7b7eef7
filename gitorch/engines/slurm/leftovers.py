"""The jobs of attempts that have ended, which are cancelled if Slurm still has them.

Slurm keeps a job that it has requeued, for example, although its attempt has recorded its end.
"""

from __future__ import annotations

from collections.abc import Collection

from gitorch.engines.contract import Submission
from gitorch.engines.slurm.tables import Job, JobState


class Leftovers:
    """The submissions of ended attempts, until squeue does not list their jobs any more."""

    def __init__(self) -> None:
        self._indices: dict[str, set[int]] = {}  # in the array, by the jobs' name

    def add(self, submission: Submission) -> None:
        indices = self._indices.setdefault(submission.name, set())
        indices.add(submission.index or 0)

    def names(self) -> set[str]:
        return set(self._indices)

    def take_from(self, jobs: Collection[Job]) -> list[Job]:
        """Return those of the listed jobs that are to be cancelled, and forget what is over."""
        found = []
        for job in jobs:
            is_ours = job.array_index in self._indices.get(job.name, ())
            if is_ours and job.meaning is not JobState.OVER:
                found.append(job)
        for name in self.names() - {job.name for job in found}:
            del self._indices[name]
        return found
