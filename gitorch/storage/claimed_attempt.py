"""A claimed task with everything that is known about it."""

from __future__ import annotations

from msgspec import Struct

from gitorch.database.values import Claim
from gitorch.model.run.payload import Payload
from gitorch.model.run.spec import TaskSpec
from gitorch.model.workspace import AttemptDirectory, RunDirectory
from gitorch.storage.run_directories import read_payload
from gitorch.storage.site import Site


class ClaimedAttempt(Struct, frozen=True, kw_only=True):
    """A claim with its payload and directories. The order for the engine is made from it."""

    claim: Claim
    payload: Payload
    run: RunDirectory
    directory: AttemptDirectory
    # Indices of its GPUs; None if the task requests none.
    gpus: tuple[int, ...] | None = None

    @classmethod
    def of(cls, site: Site, claim: Claim) -> ClaimedAttempt:
        """Return the attempt. Raises GitorchError if neither queue nor record describe the run."""
        run = site.directory(claim.run)
        return cls(
            claim=claim,
            payload=read_payload(site, claim.run, claim.payload),
            run=run,
            directory=run.attempt(claim.task, claim.number),
        )

    @property
    def task(self) -> TaskSpec:
        return self.payload.spec.task(self.claim.task)
