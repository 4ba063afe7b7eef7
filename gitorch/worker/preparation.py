"""Makes claimed attempts ready to start, for an engine. For any thread."""

from __future__ import annotations

from gitorch.database.values import Worker
from gitorch.engines.contract import Ended, Order
from gitorch.errors import GitorchError, UserInterrupted
from gitorch.model.run.outcome import CouldNotStart
from gitorch.storage.attempt_owner import OwnedByAnother, Owner
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.known_failure import KnownFailure
from gitorch.storage.reuse import Reused, Reuser
from gitorch.storage.site import Site
from gitorch.worker.attempt import prepare
from gitorch.worker.disk_space import disk_full
from gitorch.worker.ownership import yield_to
from gitorch.worker.pool_options import LOCAL
from gitorch.worker.protocol import (
    Deferred,
    OutOfSpace,
    Prepared,
    Stuck,
    Unprepared,
)
from gitorch.worker.surroundings import Surroundings


class Preparation:
    """The preparation of attempts by one worker."""

    def __init__(
        self,
        site: Site,
        reuser: Reuser,
        surroundings: Surroundings,
        worker: Worker,
        *,
        engine: str,
    ) -> None:
        """`engine` executes the tasks that name none."""
        self._site = site
        self._reuser = reuser
        self._surroundings = surroundings
        self._worker = worker
        self._engine = engine

    def prepare(
        self, attempt: ClaimedAttempt
    ) -> Prepared | Unprepared | Reused | Deferred | OutOfSpace | Stuck:
        """Make an attempt ready to start, and return what has become of it."""
        try:
            match self._reuser.settle(attempt):
                case Reused() as reused:
                    return reused
                case KnownFailure() as failure:
                    return Unprepared(attempt, failure)
                case None:
                    return Deferred(attempt)
                case settled:
                    return Prepared(settled, self._order(settled))
        except UserInterrupted as error:
            # The recovery gives the task back.
            return Stuck([attempt], error)
        except OwnedByAnother as error:
            return self._yield_to(error.owner, attempt)
        except (GitorchError, OSError) as error:
            full = disk_full(self._site.workspace, error)
            if full is not None:
                return OutOfSpace(attempt, full)
            outcome = CouldNotStart(message=str(error))
            return Unprepared(
                attempt, Ended.unrecorded(attempt.claim.token, outcome)
            )
        except BaseException as error:
            return Stuck([attempt], error)

    def _yield_to(self, owner: Owner, attempt: ClaimedAttempt) -> Deferred | Stuck:
        try:
            yield_to(self._site, attempt, owner)
        except BaseException as error:
            return Stuck([attempt], error)
        return Deferred(attempt)

    def _order(self, attempt: ClaimedAttempt) -> Order:
        """Bring the worktree to the pin, and return the order with what its engine needs."""
        is_pristine = _is_pristine(attempt)
        task = attempt.task
        engine = task.engine or self._engine
        order = prepare(
            self._site,
            attempt,
            self._surroundings,
            self._worker,
            is_elsewhere=engine != LOCAL,
        )
        options = {}
        if engine == "slurm":
            options = {**self._site.settings.slurm, **task.slurm}
        elif engine == "dask":
            own = {"ship": task.ship, "pristine": is_pristine}
            options = {**self._site.settings.dask, **own}
        return order._replace(
            engine=engine,
            resources=task.resources,
            options=options,
            title=f"gitorch {attempt.payload.spec.label} {task.id}",
        )


def _is_pristine(attempt: ClaimedAttempt) -> bool:
    """Return True if the worktree, when it is prepared, has the files of its commit alone."""
    spec = attempt.payload.spec
    is_used = attempt.run.log.exists()
    has_more = spec.link or spec.params_file or attempt.task.addresses
    return not (is_used or has_more)
