"""Claims of tasks that take resources of the machine.

The ledger stays locked while the free resources are read, a task is claimed and its resources are
entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from gitorch.database.values import UNLIMITED, Claim
from gitorch.errors import Busy, NotFound
from gitorch.model.run.record import RecordBroken
from gitorch.model.run.spec import Resources
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from gitorch.tools.random_names import random_hex
from gitorch.worker import capacity
from gitorch.worker.capacity import Ledger


class Shares:
    """The resources that one worker has taken of its machine.

    `holder` is a file that is locked for as long as any process of the worker lives.
    """

    def __init__(self, site: Site, holder: Path, *, is_local: bool = True) -> None:
        """If `is_local` is False, tasks use the resources of other machines, which have enough."""
        self._site = site
        self._holder = holder
        self._is_local = is_local
        self._taken: set[str] = set()
        # Tokens whose entries could not be removed, since another process held the ledger.
        self._unreturned: set[str] = set()

    @cached_property
    def total(self) -> Resources:
        if not self._is_local:
            return UNLIMITED
        return capacity.of_machine(self._site.repository)

    def claim(
        self,
        worker: str,
        only: Sequence[str] | None,
        *,
        ahead: bool = False,
        above: int | None = None,
        full: Sequence[str] = (),
    ) -> ClaimedAttempt | None:
        """Claim the next task that fits, with the GPUs that it may use, or return None.

        With `ahead` the task is claimed before a slot is free. None is then returned if any task
        counts resources, because others could use them until the slot is free. With `above`, only a
        task with a higher priority is claimed, and no task of the engines in `full`. The ledger is
        locked only if any task counts resources.
        """
        if not self._is_local or not self._site.queue.counts_resources():
            claim = self._claim(
                worker, only, self.total, ahead=ahead, above=above, full=full
            )
            if claim is None:
                return None
            return self._described(claim)
        if ahead:
            return None
        try:
            with self._ledger() as ledger:
                return self._claim_from(ledger, worker, only, above, full)
        except Busy:
            # The caller tries again. It keeps its other tasks running in the meantime.
            return None

    def _claim_from(
        self,
        ledger: Ledger,
        worker: str,
        only: Sequence[str] | None,
        above: int | None,
        full: Sequence[str],
    ) -> ClaimedAttempt | None:
        claim = self._claim(worker, only, ledger.free, above=above, full=full)
        if claim is None:
            return None
        attempt = self._described(claim)
        if attempt is None or attempt.task.resources == Resources():
            return attempt
        wanted = attempt.task.resources
        gpus = ledger.take(claim.token, wanted, holder=self._holder)
        self._taken.add(claim.token)
        return replace(attempt, gpus=gpus)

    def _described(self, claim: Claim) -> ClaimedAttempt | None:
        """Return the attempt, or None if nothing describes its run, which then leaves the queue."""
        try:
            return ClaimedAttempt.of(self._site, claim)
        except (RecordBroken, NotFound):
            self._site.queue.remove([claim.run])
            return None

    def give_back(self, token: str) -> None:
        """Free the attempt's resources. None of its processes may be running any more."""
        if token in self._taken:
            self._taken.discard(token)
            self._unreturned.add(token)
            # The next claim, or the end of this worker, removes the entries.
            with suppress(Busy), self._ledger():
                pass

    @contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        """Open the ledger, and remove the entries that were given back. Raises Busy."""
        with capacity.opened(self._site.repository, self.total) as ledger:
            for token in self._unreturned:
                ledger.give_back(token)
            yield ledger
        self._unreturned.clear()

    def _claim(
        self,
        worker: str,
        only: Sequence[str] | None,
        free: Resources,
        *,
        ahead: bool = False,
        above: int | None = None,
        full: Sequence[str] = (),
    ) -> Claim | None:
        return self._site.queue.claim(
            worker,
            random_hex(16),
            now=now(),
            only=only,
            free=free,
            ahead=ahead,
            above=above,
            full=full,
        )
