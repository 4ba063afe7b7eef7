"""The connection to a Dask scheduler: its workers, and calls of functions on their hosts."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import cloudpickle
from distributed import Client

from gitorch.engines.dask import files, host
from gitorch.errors import Busy, GitorchError, UsageError

# A call that takes longer is given up on: the host is probably cut off.
_CALL_S = 10.0
_CONNECT_S = 10.0
_PAUSE_S = 0.5


class Unreachable(Busy):
    """The scheduler or one of its workers has not answered for the time of a lease."""


class HostRefused(GitorchError):
    """A host lacks something, or cannot do it."""

    kind = "host-refused"


class DaskWorker(NamedTuple):
    """A worker of Dask: its address and host, its threads and what it has of each resource."""

    address: str
    host: str
    threads: int
    resources: Mapping[str, float]

    def suits(self, wanted: Mapping[str, float]) -> bool:
        return all(
            self.resources.get(name, 0) >= amount for name, amount in wanted.items()
        )


def address_of_scheduler(options: Mapping[str, Any]) -> str:
    """Return the address of the scheduler. Raises UsageError if none is configured."""
    address = options.get("scheduler") or os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        raise UsageError(
            "the engine dask needs the address of a scheduler",
            "gitorch run --engine dask --scheduler tcp://HOST:8786, or "
            "git config gitorch.dask.scheduler tcp://HOST:8786",
        )
    return str(address)


def threads_of(options: Mapping[str, Any]) -> int:
    """Return the number of threads that the workers have together, at least 1.

    Raises UsageError and Unreachable.
    """
    cluster = Cluster(address_of_scheduler(options), lease_s=1)
    try:
        return max(1, sum(worker.threads for worker in cluster.workers()))
    finally:
        cluster.close()


class Cluster:
    """A connection, usable from several threads.

    Calls are repeated for `lease_s` if the network fails. All functions on hosts may be repeated.
    """

    def __init__(self, scheduler: str, lease_s: float) -> None:
        """Connect. Raises Unreachable."""
        self.scheduler = scheduler
        self.lease_s = lease_s
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._used: dict[str, Counter[str]] = {}
        self._silent: dict[str, float] = {}  # workers that did not answer, and when
        for module in (files, host):
            cloudpickle.register_pickle_by_value(module)
        try:
            connect: Any = Client  # without types
            self.client = connect(
                scheduler, timeout=_CONNECT_S, set_as_default=False, name="gitorch"
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise Unreachable(
                f"there is no Dask scheduler at {scheduler}: {error}",
                "start one with: dask scheduler; or name another: --scheduler tcp://HOST:8786",
            ) from None

    def close(self) -> None:
        self.client.close(timeout=2)

    @property
    def is_connected(self) -> bool:
        return bool(self.client.status == "running")

    def workers(self) -> list[DaskWorker]:
        """Return the workers that the scheduler has. Raises Unreachable."""
        try:
            info = self.client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError, RuntimeError) as error:
            raise self._unreachable(error) from None
        workers = []
        for address, facts in info.items():
            resources = dict(facts.get("resources") or {})
            workers.append(
                DaskWorker(address, facts["host"], facts["nthreads"], resources)
            )
        return workers

    def take(
        self, wanted: Mapping[str, float], prefer: str | None
    ) -> DaskWorker | None:
        """Return a worker that has room, with which its place is taken. None if all are busy.

        A worker on the host `prefer` comes first. Raises HostRefused if no worker could ever have
        the resources, and Unreachable.
        """
        workers = self.workers()
        suitable = [worker for worker in workers if worker.suits(wanted)]
        if workers and not suitable:
            needs = ", ".join(
                f"{name}={amount:g}" for name, amount in wanted.items()
            )
            raise HostRefused(
                f"no worker of {self.scheduler} has the resources {needs}",
                f'start one with: dask worker {self.scheduler} --resources "{needs}"',
            )
        with self._lock:
            free = [worker for worker in suitable if self._has_room(worker, wanted)]
            if not free:
                return None
            free.sort(
                key=lambda worker: (
                    worker.host != prefer,
                    self._taken[worker.address],
                )
            )
            chosen = free[0]
            self._taken[chosen.address] += 1
            self._used.setdefault(chosen.address, Counter()).update(wanted)
            return chosen

    def avoid(self, worker: DaskWorker) -> None:
        """Give a worker that did not answer no attempt for the time of two leases."""
        with self._lock:
            self._silent[worker.address] = time.monotonic()

    def give_back(self, worker: DaskWorker, wanted: Mapping[str, float]) -> None:
        with self._lock:
            self._taken[worker.address] -= 1
            self._used[worker.address].subtract(wanted)

    def ask(self, worker: DaskWorker, function: str, *arguments: Any) -> Any:
        """Call a function of `host` on a worker's host, and return what it returns.

        Raises HostRefused, and Unreachable if the worker is gone or does not answer.
        """
        deadline = time.monotonic() + self.lease_s
        while True:
            try:
                answers = self.client.sync(
                    self.client._run,
                    host.call,
                    function,
                    *arguments,
                    workers=[worker.address],
                    on_error="return",
                    callback_timeout=min(_CALL_S, self.lease_s),
                )
            except (OSError, TimeoutError, RuntimeError, ValueError) as error:
                answers = {worker.address: error}
            answer = answers.get(worker.address)
            if isinstance(answer, dict) and "value" in answer:
                return answer["value"]
            if isinstance(answer, dict):
                raise HostRefused(f"{worker.host}: {answer['refused']}")
            if time.monotonic() > deadline or not self._has(worker):
                raise self._unreachable(answer)
            time.sleep(_PAUSE_S)

    def start(
        self,
        worker: DaskWorker,
        token: str,
        wanted: Mapping[str, float],
        *arguments: Any,
    ) -> Any:
        """Let Dask execute an attempt on this worker and on no other."""
        return self.client.submit(
            host.carry_out,
            *arguments,
            key=f"gitorch-{token}",
            workers=[worker.address],
            allow_other_workers=False,
            resources=dict(wanted) or None,
            retries=0,
            pure=False,
        )

    def _has(self, worker: DaskWorker) -> bool:
        """Return True if the scheduler knows the worker."""
        if not self.is_connected:
            return False
        try:
            return any(other.address == worker.address for other in self.workers())
        except Unreachable:
            return True  # we do not know

    def _has_room(self, worker: DaskWorker, wanted: Mapping[str, float]) -> bool:
        if self._taken[worker.address] >= worker.threads:
            return False
        silent = self._silent.get(worker.address)
        if silent is not None and time.monotonic() < silent + 2 * self.lease_s:
            return False
        used = self._used.get(worker.address, Counter())
        for name, amount in wanted.items():
            if used[name] + amount > worker.resources.get(name, 0):
                return False
        return True

    def _unreachable(self, cause: object) -> Unreachable:
        reason = f": {cause}" if cause is not None and str(cause) else ""
        return Unreachable(
            f"{self.scheduler} or its worker does not answer{reason}"
        )
