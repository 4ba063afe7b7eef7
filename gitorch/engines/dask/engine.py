"""The engine that executes attempts on the workers of a Dask cluster.

No shared file system is needed. Each attempt is led by a thread of its own: it chooses a worker of
Dask (`placement`), brings the files to the worker's host (`transfer`), lets Dask execute the
attempt there (`execution`), and fetches the results (`attempt`). Another thread fetches the logs of
all attempts on a worker (`watch`). If the host sees the attempt's directory, the file system is
shared, and nothing is transferred.

An attempt is executed on the worker that was chosen and on no other. Dask itself would repeat it
elsewhere when the worker is lost, while its processes may go on. Here the attempt is lost then. Its
processes end by themselves: with the worker of Dask, or when nobody has asked for news for the time
of a lease.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gitorch.engines.contract import Ended, Order, recorded_end
from gitorch.engines.dask.attempt import DaskAttempt, run_of
from gitorch.engines.dask.cluster import (
    Cluster,
    DaskWorker,
    Unreachable,
    address_of_scheduler,
)
from gitorch.engines.dask.placement import Placement
from gitorch.engines.dask.transfer import Place
from gitorch.engines.dask.watch import WorkerWatch
from gitorch.errors import GitorchError
from gitorch.model.run.outcome import CouldNotStart, Interrupted, Lost, Outcome
from gitorch.tools import clock

_LEASE_S = 30.0
_LOOK_S = 0.2  # between two looks at whether an attempt is cancelled


class DaskEngine:
    """An engine for a scheduler, which the first order names."""

    poll_interval_s: float | None = None
    outlives = False

    def __init__(self, slots: int, lock: Path) -> None:
        self.slots = slots
        self._leaders = ThreadPoolExecutor(slots, "dask")
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._running: dict[str, _Led] = {}
        self._known: set[str] = set()
        self._ends: list[Ended] = []
        self._notices: dict[str, bool] = {}  # True: the user has seen it
        self._places: dict[Path, Place] = {}  # by run: where its files are
        self._one_at_a_time: defaultdict[Path, threading.Lock] = defaultdict(
            threading.Lock
        )
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for token in list(self._running):
            self.cancel(token, Interrupted())
        self._leaders.shutdown()
        if self._connection is not None:
            self._forget_runs(self._connection)
            self._connection.close()
        os.close(self._reader)
        os.close(self._writer)

    def submit(self, order: Order) -> None:
        if order.token in self._known:
            return
        self._known.add(order.token)
        led = _Led(order)
        self._running[order.token] = led
        self._leaders.submit(self._lead, led)

    def poll(self) -> list[Ended]:
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        with self._lock:
            ends, self._ends = self._ends, []
        for ended in ends:
            del self._running[ended.token]
        return ends

    def descriptors(self) -> list[int]:
        return [self._reader]

    def cancel(self, token: str, outcome: Outcome) -> None:
        led = self._running.get(token)
        if led is None or led.outcome is not None:
            return
        led.outcome = outcome
        led.woken.set()
        if self._connection is not None:
            self._connection.placement.wake()

    def take_over(self, token: str, directory: Path) -> bool:
        return False

    def notices(self) -> list[str]:
        with self._lock:
            fresh = [text for text, is_seen in self._notices.items() if not is_seen]
            self._notices = dict.fromkeys(self._notices, True)
        return fresh

    def free(self) -> int:
        return max(0, self.slots - len(self._running))

    # -- one attempt, in a thread of its own

    def _lead(self, led: _Led) -> None:
        order = led.order
        began = clock.now(), time.monotonic()
        try:
            ended = self._execute(led)
        except Unreachable as error:
            ended = _unrecorded(order, Lost(message=error.message), *began)
        except (GitorchError, OSError, subprocess.CalledProcessError) as error:
            ended = _unrecorded(
                order, CouldNotStart(message=_sentence(error)), *began
            )
        except Exception as error:
            ended = _unrecorded(order, Lost(message=repr(error)), *began)
        with self._lock:
            self._ends.append(ended)
        os.write(self._writer, b".")

    def _execute(self, led: _Led) -> Ended:
        """Execute an attempt on the first worker that has room for it."""
        connection = self._connected(led.order.options)
        placement, wanted = connection.placement, _wanted(led.order)
        with ExitStack() as files:
            while not led.is_cancelled():
                worker = placement.choose(
                    wanted, self._host_of(led), led.is_cancelled, self._note
                )
                if worker is None:
                    break
                attempt = self._prepared(connection, led, worker, files)
                if attempt is None:
                    self._wait_for_files(led, files)
                    continue
                if not placement.enter(worker, wanted, led.is_cancelled):
                    continue
                try:
                    return attempt.execute(wanted, connection.watch(worker))
                except Unreachable as error:
                    attempt.give_up(Lost(message=error.message))
                    placement.avoid(worker)
                    raise
                finally:
                    placement.leave(worker, wanted)
        return Ended.unrecorded(led.order.token, led.outcome or Interrupted())

    def _host_of(self, led: _Led) -> str | None:
        """Return the host that has the files of the run, if there is one."""
        place = self._places.get(run_of(led.order))
        return None if place is None else place.worker.host

    def _prepared(
        self,
        connection: _Connection,
        led: _Led,
        worker: DaskWorker,
        files: ExitStack,
    ) -> DaskAttempt | None:
        """Bring the files of an attempt to a worker, on which it waits.

        Return None if another attempt has the files of the run, or if the scheduler is gone. The
        attempt is on no worker then.
        """
        order = led.order
        attempt = DaskAttempt(
            connection.cluster, worker, order, led.woken, lambda: led.outcome
        )
        is_prepared = False
        try:
            there = connection.directory_on(worker, order)
            if there is None:
                is_prepared = True
            elif self._has_files(led, files, wait_s=0):
                place = attempt.place_in(there)
                self._places[run_of(order)] = place
                attempt.prepare(place)
                is_prepared = True
        except Unreachable:
            if connection.cluster.is_connected:
                connection.placement.avoid(worker)
                raise
        finally:
            if not is_prepared:
                connection.placement.withdraw(worker)
        return attempt if is_prepared else None

    def _wait_for_files(self, led: _Led, files: ExitStack) -> None:
        """Wait until no other attempt has the files of the run, or the attempt is cancelled."""
        while not led.is_cancelled() and not self._has_files(led, files, _LOOK_S):
            pass

    def _has_files(self, led: _Led, files: ExitStack, wait_s: float) -> bool:
        """Return True if the attempt has the files of its run for itself, as long as `files`.

        On a host of its own they are transferred as a whole, so attempts take turns with them.
        """
        if led.has_files:
            return True
        lock = self._one_at_a_time[run_of(led.order)]
        led.has_files = lock.acquire(timeout=wait_s)
        if led.has_files:
            files.callback(lock.release)
        return led.has_files

    def _connected(self, options: Mapping[str, Any]) -> _Connection:
        with self._lock:
            if self._connection is None:
                lease_s = float(options.get("lease", _LEASE_S))
                address = address_of_scheduler(options)
                self._connection = _Connection(Cluster(address, lease_s))
            return self._connection

    def _note(self, text: str) -> None:
        with self._lock:
            self._notices.setdefault(text, False)

    def _forget_runs(self, connection: _Connection) -> None:
        """Remove the files of the runs from their hosts."""
        places: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        for place in self._places.values():
            key = (place.worker.address, place.repository)
            places[key].append(place)
        for places_there in places.values():
            place, names = places_there[0], [place.id for place in places_there]
            with suppress(GitorchError):
                connection.cluster.ask(
                    place.worker, "forget", place.repository, names
                )


class _Led:
    """An order that a thread leads to its end."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.outcome: Outcome | None = None  # with which it is to end
        self.woken = threading.Event()
        self.has_files = False

    def is_cancelled(self) -> bool:
        return self.outcome is not None


class _Connection:
    """A cluster and facts about its workers. Several threads may use it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.placement = Placement(cluster)
        self._lock = threading.Lock()
        self._watches: dict[str, WorkerWatch] = {}
        self._greeted: dict[tuple[str, Path], str | None] = {}

    def watch(self, worker: DaskWorker) -> WorkerWatch:
        with self._lock:
            if worker.address not in self._watches:
                self._watches[worker.address] = WorkerWatch(self.cluster, worker)
            return self._watches[worker.address]

    def directory_on(self, worker: DaskWorker, order: Order) -> str | None:
        """Return the directory of gitorch on a host, None if it shares the file system."""
        key = (worker.address, run_of(order).parent)
        if key not in self._greeted:
            marker = order.directory / f".{order.token}"
            marker.touch()
            try:
                there, is_seen = self.cluster.ask(worker, "greet", str(marker))
            finally:
                marker.unlink()
            is_shared = is_seen and not order.options.get("private")
            self._greeted[key] = None if is_shared else there
        return self._greeted[key]

    def close(self) -> None:
        for watch in self._watches.values():
            watch.close()
        with suppress(OSError, TimeoutError):
            self.cluster.close()


def _wanted(order: Order) -> dict[str, float]:
    """Return the resources to ask Dask for, by the names that configs give them."""
    resources = order.resources
    amounts = {
        "cpus": resources.cpus,
        "gpus": resources.gpus,
        "memory": resources.memory_bytes,
    }
    return {name: float(amount) for name, amount in amounts.items() if amount}


def _unrecorded(
    order: Order, outcome: Outcome, started: str, monotonic: float
) -> Ended:
    recorded = recorded_end(order.directory, order.token)
    if recorded is not None:
        return recorded
    duration_s = round(time.monotonic() - monotonic, 6)
    return Ended.unrecorded(
        order.token, outcome, started=started, duration_s=duration_s
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, GitorchError):
        hint = f" ({error.hint})" if error.hint else ""
        return f"{error.message}{hint}"
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        return str(error.stderr)[-500:]
    return str(error)
