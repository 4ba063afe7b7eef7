"""A claimed task with everything that is known about it."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from gitorch.database.values import Claim
from gitorch.model.run.payload import Payload
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.workspace import AttemptDirectory, RunDirectory
from gitorch.storage.run_directories import read_payload
from gitorch.storage.site import Site


class ClaimedAttempt(Struct, frozen=True, kw_only=True, dict=True):
    """A claim with its payload and directories. The order for the engine is made from it."""

    claim: Claim
    payload: Payload
    run: RunDirectory
    directory: AttemptDirectory
    # The highest priority of the tasks of the run that can be claimed when the attempt has ended;
    # None if there are none.
    next_priority: int | None = None
    # Indices of its GPUs; None if the task requests none.
    gpus: tuple[int, ...] | None = None

    @classmethod
    def of(cls, site: Site, claim: Claim) -> ClaimedAttempt:
        """Return the attempt. Raises GitorchError if neither queue nor record describe the run."""
        run = site.directory(claim.run)
        payload = read_payload(site, claim.run, claim.payload)
        return cls(
            claim=claim,
            payload=payload,
            next_priority=_next_priority(claim, payload.spec),
            run=run,
            directory=run.attempt(claim.task, claim.number),
        )

    @cached_property
    def task(self) -> TaskSpec:
        return self.payload.spec.task(self.claim.task)


def _next_priority(claim: Claim, spec: RunSpec) -> int | None:
    """Return the highest priority of the tasks that need the claimed one.

    A task that may be tried again follows itself. If the run has a priority of its own, all its
    tasks have this priority.
    """
    task = spec.task(claim.task)
    priorities = [other.priority for other in spec.tasks if task.id in other.needs]
    if task.retries is not None:
        priorities.append(task.priority)
    if priorities and claim.priority != task.priority:
        return claim.priority
    return max(priorities, default=None)
