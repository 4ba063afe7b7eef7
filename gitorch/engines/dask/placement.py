"""The choice of a worker of Dask for each attempt."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress

from gitorch.engines.dask.cluster import (
    Cluster,
    DaskWorker,
    HostRefused,
    Unreachable,
)

_LOOK_S = 0.2  # between two looks at whether there are other workers


class Placement:
    """The attempts on workers of Dask: those that are executed, and those that wait for room.

    For several threads. An attempt is on one worker at a time. Before it is executed it can go to
    another one that has room earlier.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._changed = threading.Condition()
        self._waiting: Counter[str] = Counter()  # attempts by address
        self._executed: Counter[str] = Counter()
        self._used: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._silent: dict[str, float] = {}  # workers that did not answer, and when

    def choose(
        self,
        wanted: Mapping[str, float],
        prefer: str | None,
        is_cancelled: Callable[[], bool],
        say: Callable[[str], None],
    ) -> DaskWorker | None:
        """Wait for a worker, and return it. The attempt then waits there, and can be prepared.

        A worker on the host `prefer` comes first. Return None if the attempt is cancelled. Raises
        HostRefused if no worker could ever have the resources.
        """
        scheduler = self._cluster.scheduler
        while not is_cancelled():
            workers = []
            try:
                workers = self._cluster.workers()
            except Unreachable:
                say(f"{scheduler} does not answer: tasks wait for it")
            else:
                if not workers:
                    say(f"{scheduler} has no workers: tasks wait for one")
            suitable = self._suitable(workers, wanted)
            with self._changed:
                chosen = self._best(suitable, wanted, prefer)
                if chosen is not None:
                    self._waiting[chosen.address] += 1
                    return chosen
                self._changed.wait(_LOOK_S)
        return None

    def enter(
        self,
        worker: DaskWorker,
        wanted: Mapping[str, float],
        is_cancelled: Callable[[], bool],
    ) -> bool:
        """Wait until the worker has room for the attempt, which is then executed there.

        Return False if the attempt is cancelled, or another worker has room earlier, or the worker
        is gone. The attempt is on no worker then.
        """
        while True:
            workers: list[DaskWorker] = []
            with suppress(Unreachable, HostRefused):  # `choose` says it
                workers = self._suitable(self._cluster.workers(), wanted)
            with self._changed:
                if worker in workers and self._has_room(worker, wanted):
                    self._waiting[worker.address] -= 1
                    self._executed[worker.address] += 1
                    self._used[worker.address].update(wanted)
                    return True
                if is_cancelled() or self._is_better_elsewhere(
                    worker, workers, wanted
                ):
                    self._waiting[worker.address] -= 1
                    self._changed.notify_all()
                    return False
                self._changed.wait(_LOOK_S)

    def leave(self, worker: DaskWorker, wanted: Mapping[str, float]) -> None:
        """Note that the attempt is not executed any more."""
        with self._changed:
            self._executed[worker.address] -= 1
            self._used[worker.address].subtract(wanted)
            self._changed.notify_all()

    def withdraw(self, worker: DaskWorker) -> None:
        """Note that an attempt does not wait any more."""
        with self._changed:
            self._waiting[worker.address] -= 1
            self._changed.notify_all()

    def avoid(self, worker: DaskWorker) -> None:
        """Give a worker that did not answer no attempt for the time of two leases."""
        with self._changed:
            self._silent[worker.address] = time.monotonic()

    def wake(self) -> None:
        """Let those that wait see that their attempt is cancelled."""
        with self._changed:
            self._changed.notify_all()

    def _suitable(
        self, workers: list[DaskWorker], wanted: Mapping[str, float]
    ) -> list[DaskWorker]:
        suitable = [worker for worker in workers if worker.suits(wanted)]
        if workers and not suitable:
            needs = ", ".join(
                f"{name}={amount:g}" for name, amount in wanted.items()
            )
            raise HostRefused(
                f"no worker of {self._cluster.scheduler} has the resources {needs}",
                f'start one with: dask worker {self._cluster.scheduler} --resources "{needs}"',
            )
        return suitable

    def _best(
        self,
        workers: list[DaskWorker],
        wanted: Mapping[str, float],
        prefer: str | None,
    ) -> DaskWorker | None:
        """Return the worker with the most room, or else one where an attempt can be prepared."""

        def rank(worker: DaskWorker) -> tuple[bool, bool, int]:
            attempts = self._attempts(worker)
            is_full = attempts >= worker.threads or not self._has_room(
                worker, wanted
            )
            return is_full, worker.host != prefer, attempts

        open_ones = []
        for worker in workers:
            if self._is_silent(worker):
                continue
            if self._attempts(worker) < worker.room:
                open_ones.append(worker)
        return min(open_ones, key=rank, default=None)

    def _is_better_elsewhere(
        self,
        worker: DaskWorker,
        workers: list[DaskWorker],
        wanted: Mapping[str, float],
    ) -> bool:
        if self._is_silent(worker) or worker not in workers:
            return True
        for other in workers:
            has_room = self._has_room(other, wanted)
            if has_room and self._attempts(other) < other.threads:
                return True
        return False

    def _attempts(self, worker: DaskWorker) -> int:
        return self._executed[worker.address] + self._waiting[worker.address]

    def _is_silent(self, worker: DaskWorker) -> bool:
        silent = self._silent.get(worker.address)
        avoided_s = 2 * self._cluster.lease_s
        return silent is not None and time.monotonic() < silent + avoided_s

    def _has_room(self, worker: DaskWorker, wanted: Mapping[str, float]) -> bool:
        if self._is_silent(worker):
            return False
        if self._executed[worker.address] >= worker.threads:
            return False
        used = self._used[worker.address]
        for name, amount in wanted.items():
            if used[name] + amount > worker.resources.get(name, 0):
                return False
        return True
