"""The connection to a Dask scheduler: its workers, and calls of functions on their hosts."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import cloudpickle
import dask
from distributed import Client, KilledWorker
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.registry import get_backend

from gitorch.engines.dask import (
    execution,
    files,
    host,
    programs,
    run_files,
    stub,
)
from gitorch.errors import Busy, GitorchError, UsageError

# A call that takes longer is given up on: the host is probably cut off.
_CALL_S = 10.0
_CONNECT_S = 5.0
_PAUSE_S = 0.5
# So many attempts more than a worker has threads are prepared there, and start at once later.
_AHEAD = 1
# The workers change rarely. A call to one that is gone fails, and says so.
_WORKERS_S = 1.0
# Dask's client raises these when its connection breaks meanwhile.
_BROKEN = (OSError, TimeoutError, RuntimeError, KeyError, AttributeError)


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

    @property
    def room(self) -> int:
        """Return the number of attempts that are executed or prepared here at the same time."""
        return self.threads + _AHEAD

    def suits(self, wanted: Mapping[str, float]) -> bool:
        return all(
            self.resources.get(name, 0) >= amount for name, amount in wanted.items()
        )


def address_of_scheduler(options: Mapping[str, Any]) -> str:
    """Return the address of the scheduler. Raises UsageError if there is none, or no such one."""
    address = options.get("scheduler") or os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        raise UsageError(
            "the engine dask needs the address of a scheduler",
            "gitorch run --engine dask --scheduler tcp://HOST:8786, or "
            "git config gitorch.dask.scheduler tcp://HOST:8786",
        )
    try:
        protocol, location = parse_address(str(address))
        get_backend(protocol)
        parse_host_port(location)
    except ValueError as error:
        raise UsageError(
            f"{address!r} is not the address of a scheduler: {error}",
            "write it as dask scheduler prints it, like tcp://HOST:8786",
        ) from None
    return str(address)


def room_of(options: Mapping[str, Any]) -> int:
    """Return the number of attempts for which the workers have room together, at least 1.

    Raises UsageError and Unreachable.
    """
    cluster = Cluster(address_of_scheduler(options), lease_s=1)
    try:
        return max(1, sum(worker.room for worker in cluster.workers()))
    finally:
        cluster.close()


class Cluster:
    """A connection, usable from several threads.

    Calls are repeated for `lease_s` if the network fails. All functions on hosts may be repeated.
    """

    def __init__(self, scheduler: str, lease_s: float) -> None:
        """`workers` connects, also again after the connection was lost."""
        self.scheduler = scheduler
        self.lease_s = lease_s
        self._key = programs.digest()  # of our functions on hosts
        self._lock = threading.Lock()
        self._supplies: defaultdict[str, threading.Lock] = defaultdict(
            threading.Lock
        )
        self._workers: list[DaskWorker] = []
        self._workers_at = float("-inf")
        cloudpickle.register_pickle_by_value(stub)
        # Dask would collect the source of our functions with each task.
        dask.config.set({"distributed.diagnostics.computations.nframes": 0})
        # The engine itself reports broken connections, so Dask need not log them.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._client: Any = None

    def supply_of(self, worker: DaskWorker) -> threading.Lock:
        """Return the lock under which a host is sent what several attempts lack there."""
        with self._lock:
            return self._supplies[worker.host]

    def close(self) -> None:
        if self._client is not None:
            self._client.close(timeout=2)

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.status == "running"

    def workers(self) -> list[DaskWorker]:
        """Return the workers that the scheduler has or had a moment ago. Raises Unreachable."""
        with self._lock:
            if time.monotonic() - self._workers_at > _WORKERS_S:
                self._workers = self._current_workers()
                self._workers_at = time.monotonic()
            return self._workers

    def _current_workers(self) -> list[DaskWorker]:
        if self._client is None or self._client.status == "closed":
            self._client = self._connect()
        if not self.is_connected:
            raise self._unreachable(None)
        try:
            info = self._client.scheduler_info(n_workers=-1)["workers"]
        except _BROKEN as error:
            raise self._unreachable(error) from None
        workers = []
        for address, facts in info.items():
            resources = dict(facts.get("resources") or {})
            workers.append(
                DaskWorker(address, facts["host"], facts["nthreads"], resources)
            )
        return workers

    def _connect(self) -> Any:
        connect: Any = Client  # without types
        address, timeout = self.scheduler, _CONNECT_S
        try:
            return connect(
                address, timeout=timeout, set_as_default=False, name="gitorch"
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise Unreachable(
                f"there is no Dask scheduler at {address}: {error}",
                "start one with: dask scheduler; or name another: --scheduler tcp://HOST:8786",
            ) from None

    def ask(self, worker: DaskWorker, function: str, *arguments: Any) -> Any:
        """Call a function on a worker's host, and return what it returns.

        Raises HostRefused, and Unreachable if the worker is gone or does not answer.
        """
        deadline = time.monotonic() + self.lease_s
        key = self._key
        while True:
            answer = self._call(worker, stub.call, key, function, *arguments)
            if answer == {}:
                answer = self._call(worker, stub.install, key, _functions())
                if answer is None:
                    continue
            if isinstance(answer, dict):
                return _value(worker, answer)
            if time.monotonic() > deadline or not self._has(worker):
                raise self._unreachable(answer)
            time.sleep(_PAUSE_S)

    def _call(self, worker: DaskWorker, function: Any, *arguments: Any) -> Any:
        """Call a function of `stub` on a worker, and return its answer or an error."""
        try:
            answers = self._client.sync(
                self._client._run,
                function,
                *arguments,
                workers=[worker.address],
                on_error="return",
                callback_timeout=min(_CALL_S, self.lease_s),
            )
        except (*_BROKEN, ValueError) as error:
            return error
        return answers.get(worker.address, KeyError(worker.address))

    def start(
        self,
        worker: DaskWorker,
        token: str,
        wanted: Mapping[str, float],
        request: execution.Execution,
    ) -> Any:
        """Let Dask execute an attempt on this worker and on no other. Return its future."""
        return self._client.submit(
            stub.execute,
            self._key,
            *request,
            key=f"gitorch-{token}",
            workers=[worker.address],
            allow_other_workers=False,
            resources=dict(wanted) or None,
            retries=0,
            pure=False,
        )

    def result(self, worker: DaskWorker, future: Any) -> dict[str, Any]:
        """Return what the execution of an attempt has returned.

        Raises HostRefused, and Unreachable if it has not returned.
        """
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                raise Unreachable(f"the worker of Dask on {worker.host} was killed")
            raise HostRefused(f"{worker.host}: {error}")
        if future.status != "finished":
            raise Unreachable(f"{worker.host} or {self.scheduler} was lost")
        try:
            answer = future.result(timeout=self.lease_s)
        except _BROKEN as error:
            raise self._unreachable(error) from None
        value: dict[str, Any] = _value(worker, answer)
        return value

    def _has(self, worker: DaskWorker) -> bool:
        """Return True if the scheduler knows the worker."""
        if not self.is_connected:
            return False
        try:
            return any(other.address == worker.address for other in self.workers())
        except Unreachable:
            return True  # we do not know

    def _unreachable(self, cause: object) -> Unreachable:
        reason = f": {cause}" if cause is not None and str(cause) else ""
        return Unreachable(
            f"{self.scheduler} or its worker does not answer{reason}"
        )


def _value(worker: DaskWorker, answer: Mapping[str, Any]) -> Any:
    if "refused" in answer:
        raise HostRefused(f"{worker.host}: {answer['refused']}")
    return answer["value"]


def _functions() -> bytes:
    """Return the functions for hosts, pickled by value: gitorch is not installed there."""
    with _pickling:
        return _pickled()


# cloudpickle's list of modules that are pickled by value is one for all threads.
_pickling = threading.Lock()


@cache
def _pickled() -> bytes:
    modules = (files, host, run_files, execution)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        pickled: bytes = cloudpickle.dumps(execution.FUNCTIONS)
        return pickled
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
