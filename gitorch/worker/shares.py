"""Claims that take a part of the machine: what is free is looked at, claimed and entered as one step."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from gitorch.database.values import Claim
from gitorch.model.run.spec import Resources
from gitorch.runs.claimed_attempt import ClaimedAttempt
from gitorch.runs.site import Site
from gitorch.tools.clock import now
from gitorch.worker import capacity


class Shares:
    """What one worker has taken of its machine; `holder` is locked for as long as any of its processes lives."""

    def __init__(self, site: Site, holder: Path) -> None:
        self._site = site
        self._holder = holder
        self._taken: set[str] = set()

    @cached_property
    def total(self) -> Resources:
        return capacity.of_machine(self._site.repository)

    def claim(
        self, worker: str, only: Sequence[str] | None, *, ahead: bool = False
    ) -> ClaimedAttempt | None:
        """The next task that fits, with the GPUs it may use. Costs a lock only where any task counts resources.

        `ahead`, of a slot for it: nothing where that would keep a part of the machine from others.
        """
        if not self._site.queue.counts_resources():
            claim = self._claim(worker, only, self.total, ahead)
            return ClaimedAttempt.of(self._site, claim) if claim else None
        if ahead:
            return None
        with capacity.opened(self._site.repository, self.total) as ledger:
            claim = self._claim(worker, only, ledger.free)
            if claim is None:
                return None
            attempt = ClaimedAttempt.of(self._site, claim)
            wanted = attempt.task.resources
            if wanted == Resources():
                return attempt
            gpus = ledger.take(claim.token, wanted, holder=self._holder)
            self._taken.add(claim.token)
            return replace(attempt, gpus=gpus)

    def give_back(self, token: str) -> None:
        """Nothing of this attempt runs any more."""
        if token in self._taken:
            self._taken.discard(token)
            with capacity.opened(self._site.repository, self.total) as ledger:
                ledger.give_back(token)

    def _claim(
        self, worker: str, only: Sequence[str] | None, free: Resources, ahead: bool = False
    ) -> Claim | None:
        return self._site.queue.claim(
            worker, secrets.token_hex(16), now=now(), only=only, free=free, ahead=ahead
        )
