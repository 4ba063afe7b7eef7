"""Takes over the attempts of dead workers that are still executed elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitorch.database.values import Worker
from gitorch.engines.contract import Submission
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.site import Site
from gitorch.worker.protocol import TakenOver


class Heirs:
    """The other workers, as one worker sees them. For any thread."""

    def __init__(
        self,
        site: Site,
        worker: Worker,
        post: Callable[[TakenOver], None],
        *,
        only: Sequence[str] | None,
    ) -> None:
        """`worker` takes over the attempts of the runs `only`, or all if that is None."""
        self._site = site
        self._worker = worker
        self._post = post
        self._only = only
        # Dead workers whose attempts are left to another worker.
        self._spared: set[str] = set()

    def others(self) -> list[Worker]:
        """Return the other workers, without those whose attempts are left to another worker."""
        others = []
        for worker in self._site.queue.workers():
            if worker.id != self._worker.id and worker.id not in self._spared:
                others.append(worker)
        return others

    def adopt(
        self, dead: Worker, attempt: ClaimedAttempt, submission: Submission
    ) -> bool:
        """Let this worker have the attempt of a dead one. Return False if it is not to have it."""
        if self._only is not None and attempt.claim.run not in self._only:
            self._spared.add(dead.id)
            return False
        self._site.queue.entrust(self._worker, attempt.claim)
        self._post(TakenOver(attempt, submission.engine))
        return True
