"""The engine that executes attempts on the workers of a Dask cluster.

No shared file system is needed. Each attempt is led by a thread of its own: it chooses a worker of
Dask (`cluster`), transfers what the worker's host lacks (`transfer`), lets Dask execute
the keeper there (`host`), and fetches log, events and results (`attempt`). If the host
sees the attempt's directory, the file system is shared, and nothing is transferred.

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
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gitorch.engines.contract import Ended, Order, recorded_end
from gitorch.engines.dask.attempt import LOOK_S, DaskAttempt, repository_id, run_of
from gitorch.engines.dask.cluster import (
    Cluster,
    DaskWorker,
    Unreachable,
    address_of_scheduler,
)
from gitorch.errors import GitorchError
from gitorch.model.run.outcome import CouldNotStart, Interrupted, Lost, Outcome
from gitorch.tools import clock

_LEASE_S = 30.0


class DaskEngine:
    """An engine for a scheduler, which the first order names."""

    poll_interval_s: float | None = None
    outlives = False

    def __init__(self, slots: int, lock: Path) -> None:
        self.slots = slots
        self._lock_path = lock
        self._cluster: Cluster | None = None
        self._leaders = ThreadPoolExecutor(slots, "dask")
        self._lock = threading.Lock()
        self._running: dict[str, Order] = {}
        self._cancelled: dict[str, Outcome] = {}
        self._known: set[str] = set()
        self._ends: list[Ended] = []
        self._notices: dict[str, bool] = {}  # True: the user has seen it
        self._hosts: dict[Path, DaskWorker] = {}  # by run: where its files are
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
        if self._cluster is not None:
            for run in self._hosts:
                self._forget(run)
            with suppress(OSError, TimeoutError):
                self._cluster.close()
        os.close(self._reader)
        os.close(self._writer)

    def submit(self, order: Order) -> None:
        if order.token in self._known:
            return
        self._known.add(order.token)
        self._running[order.token] = order
        self._leaders.submit(self._lead, order)

    def poll(self) -> list[Ended]:
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        with self._lock:
            ends, self._ends = self._ends, []
        for ended in ends:
            del self._running[ended.token]
            self._cancelled.pop(ended.token, None)
        return ends

    def descriptors(self) -> list[int]:
        return [self._reader]

    def cancel(self, token: str, outcome: Outcome) -> None:
        if token in self._running:
            self._cancelled.setdefault(token, outcome)

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

    def _lead(self, order: Order) -> None:
        began = clock.now(), time.monotonic()
        try:
            ended = self._execute(order)
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

    def _execute(self, order: Order) -> Ended:
        cluster = self._connected(order.options)
        wanted = _wanted(order)
        worker = self._placed(cluster, order, wanted)
        if worker is None:
            return Ended.unrecorded(order.token, self._cancelled[order.token])
        outcome_asked = partial(self._cancelled.get, order.token)
        attempt = DaskAttempt(cluster, worker, wanted, order, outcome_asked)
        try:
            if attempt.sees_its_files():
                return attempt.execute_in_place()
            run = run_of(order)
            with self._one_at_a_time[run]:
                self._hosts[run] = worker
                return attempt.execute_there()
        except Unreachable:
            cluster.avoid(worker)
            raise
        finally:
            cluster.give_back(worker, wanted)

    def _placed(
        self, cluster: Cluster, order: Order, wanted: Mapping[str, float]
    ) -> DaskWorker | None:
        """Return a worker with room for the attempt, or None if the attempt was cancelled."""
        last = self._hosts.get(run_of(order))
        while order.token not in self._cancelled:
            worker = cluster.take(wanted, None if last is None else last.host)
            if worker is not None:
                return worker
            if not cluster.workers():
                self._note(
                    f"{cluster.scheduler} has no workers: tasks wait for one"
                )
            time.sleep(LOOK_S)
        return None

    def _connected(self, options: Mapping[str, Any]) -> Cluster:
        with self._lock:
            if self._cluster is None:
                lease_s = float(options.get("lease", _LEASE_S))
                self._cluster = Cluster(address_of_scheduler(options), lease_s)
            return self._cluster

    def _note(self, text: str) -> None:
        with self._lock:
            self._notices.setdefault(text, False)

    def _forget(self, run: Path) -> None:
        """Remove the files of a run from its host."""
        worker = self._hosts[run]
        if self._cluster is not None and (run / "tree").is_dir():
            with suppress(GitorchError, OSError, subprocess.CalledProcessError):
                repository = repository_id(run / "tree")
                self._cluster.ask(worker, "forget", repository, run.name)


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
