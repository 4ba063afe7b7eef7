"""The engine that executes attempts on the workers of a Dask cluster.

No shared file system is needed. Each attempt is led by a thread of its own: it chooses a worker of
Dask, transfers what the worker's host lacks (`dask_transfer`), lets Dask execute the keeper there
(`dask_host`), and fetches log, events and results. If the host sees the attempt's directory, the
file system is shared, and nothing is transferred.

An attempt is executed on the worker that was chosen and on no other. Dask itself would repeat it
elsewhere when the worker is lost, while its processes may go on. Here the attempt is lost then. Its
processes end by themselves: with the worker of Dask, or when nobody has asked for news for the time
of a lease.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gitorch.engines.contract import Ended, Order, recorded_end
from gitorch.engines.dask_cluster import (
    Cluster,
    DaskWorker,
    HostRefused,
    Unreachable,
    address_of_scheduler,
)
from gitorch.engines.dask_transfer import PROGRAMS, Place, Transfer, order_there
from gitorch.engines.order_files import order_document, request_end
from gitorch.errors import GitorchError
from gitorch.model.run.outcome import CouldNotStart, Interrupted, Lost, Outcome
from gitorch.tools import clock

_LOOK_S = 0.2  # between two looks at an attempt
_LEASE_S = 30.0
_BEAT_S = 5.0


class _Attempt:
    """An attempt that Dask executes. `transfer` is None if the file system is shared."""

    future: Any

    def __init__(
        self, order: Order, worker: DaskWorker, transfer: Transfer | None
    ) -> None:
        self.order = order
        self.worker = worker
        self.transfer = transfer

    def request_end(self, outcome: Outcome) -> None:
        order = self.order
        if self.transfer is None:
            request_end(order.directory, order.token, outcome)
        else:
            self.transfer.request_end(order.token, outcome)


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
        try:
            return self._execute_on(cluster, worker, order, wanted)
        except Unreachable:
            cluster.avoid(worker)
            raise
        finally:
            cluster.give_back(worker, wanted)

    def _placed(
        self, cluster: Cluster, order: Order, wanted: Mapping[str, float]
    ) -> DaskWorker | None:
        """Return a worker with room for the attempt, or None if the attempt was cancelled."""
        last = self._hosts.get(_run_of(order))
        while order.token not in self._cancelled:
            worker = cluster.take(wanted, None if last is None else last.host)
            if worker is not None:
                return worker
            if not cluster.workers():
                self._note(
                    f"{cluster.scheduler} has no workers: tasks wait for one"
                )
            time.sleep(_LOOK_S)
        return None

    def _execute_on(
        self,
        cluster: Cluster,
        worker: DaskWorker,
        order: Order,
        wanted: Mapping[str, float],
    ) -> Ended:
        marker = order.directory / f".{order.token}"
        marker.touch()
        is_shared = cluster.ask(worker, "sees", str(marker))
        marker.unlink()
        if is_shared and not order.options.get("private"):
            return self._execute_in_place(cluster, worker, order, wanted)
        run = _run_of(order)
        with self._one_at_a_time[run]:
            self._hosts[run] = worker
            return self._execute_there(cluster, worker, order, wanted)

    def _execute_in_place(
        self,
        cluster: Cluster,
        worker: DaskWorker,
        order: Order,
        wanted: Mapping[str, float],
    ) -> Ended:
        """Execute an attempt on a host that shares the file system."""
        document = _document(order)
        directory = str(order.directory)
        attempt = _Attempt(order, worker, None)
        attempt.future = cluster.start(
            worker,
            order.token,
            wanted,
            "/",
            directory,
            PROGRAMS,
            document,
            order.token,
            cluster.lease_s,
            True,
        )
        return self._follow(cluster, attempt)

    def _execute_there(
        self,
        cluster: Cluster,
        worker: DaskWorker,
        order: Order,
        wanted: Mapping[str, float],
    ) -> Ended:
        """Execute an attempt on a host with files of its own."""
        run = _run_of(order)
        repository = _repository_id(order.cwd)
        there = cluster.ask(worker, "run_directory", repository, run.name)
        path = str(order.directory.relative_to(run))
        place = Place(worker, repository, run, there, path)
        transfer = Transfer(cluster, place)
        programs = transfer.send_programs()
        commit = _commit(order.cwd)
        transfer.send_commit(order.cwd, commit)
        transfer.lay_out(commit, order.options.get("ship", ()))
        document = order_there(transfer, _document(order))
        attempt = _Attempt(order, worker, transfer)
        attempt.future = cluster.start(
            worker,
            order.token,
            wanted,
            there,
            path,
            programs,
            document,
            order.token,
            cluster.lease_s,
            False,
        )
        return self._follow(cluster, attempt)

    def _follow(self, cluster: Cluster, attempt: _Attempt) -> Ended:
        """Wait until the attempt has ended, fetch all of it, and return its end."""
        order = attempt.order
        _note_start(order, attempt.worker)
        is_asked_to_end = False
        has_ended = threading.Event()
        attempt.future.add_done_callback(lambda _: has_ended.set())
        while attempt.future.status == "pending":
            if order.token in self._cancelled and not is_asked_to_end:
                is_asked_to_end = True
                attempt.request_end(self._cancelled[order.token])
            if attempt.transfer is None:
                cluster.ask(attempt.worker, "renew", str(order.directory))
            else:
                attempt.transfer.fetch_news()
            has_ended.wait(_LOOK_S)
        if attempt.future.status == "error":
            raise HostRefused(
                f"{attempt.worker.host}: {attempt.future.exception()}"
            )
        if attempt.future.status != "finished":
            raise Unreachable(
                f"{attempt.worker.host} or {cluster.scheduler} was lost"
            )
        if attempt.transfer is not None:
            attempt.transfer.fetch_news()
            attempt.transfer.fetch_results()
        ended = recorded_end(order.directory, order.token)
        if ended is None:
            raise Unreachable(
                f"{attempt.worker.host} has not said how the attempt ended"
            )
        return ended

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
                repository = _repository_id(run / "tree")
                self._cluster.ask(worker, "forget", repository, run.name)


def _run_of(order: Order) -> Path:
    """Return the directory of the run: the attempt's is `log/<task>/<number>` in it."""
    return order.directory.parents[2]


def _document(order: Order) -> dict[str, Any]:
    return order_document(
        order, os.environ, beat_s=_BEAT_S, checkpoint_s=order.grace_s
    )


def _wanted(order: Order) -> dict[str, float]:
    """Return the resources to ask Dask for, by the names that configs give them."""
    resources = order.resources
    amounts = {
        "cpus": resources.cpus,
        "gpus": resources.gpus,
        "memory": resources.memory_bytes,
    }
    return {name: float(amount) for name, amount in amounts.items() if amount}


def _note_start(order: Order, worker: DaskWorker) -> None:
    facts = {
        "token": order.token,
        "host": worker.host,
        "pid": 0,
        "job": worker.address,
    }
    began = order.directory / "began.json"
    if not began.exists():
        began.write_text(json.dumps(facts))


def _commit(tree: Path) -> str:
    words = ["git", "-C", str(tree), "rev-parse", "HEAD"]
    return subprocess.run(
        words, capture_output=True, text=True, check=True
    ).stdout.strip()


def _repository_id(tree: Path) -> str:
    """Return the name of the repository on hosts."""
    words = ["git", "-C", str(tree), "rev-parse", "--git-common-dir"]
    common = subprocess.run(
        words, capture_output=True, text=True, check=True
    ).stdout.strip()
    whole = f"{os.uname().nodename}:{Path(tree, common).resolve()}"
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


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
