"""One attempt on a worker of Dask: its way to the host, its execution there, and its way back."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.engines.contract import Ended, Order, recorded_end
from gitorch.engines.dask.cluster import (
    Cluster,
    DaskWorker,
    HostRefused,
    Unreachable,
)
from gitorch.engines.dask.transfer import PROGRAMS, Place, Transfer, order_there
from gitorch.engines.order_files import order_document, request_end
from gitorch.model.run.outcome import Outcome

LOOK_S = 0.2  # between two looks at an attempt
_BEAT_S = 5.0


class DaskAttempt(NamedTuple):
    """An order, and the worker of Dask that has room for it.

    `outcome_asked` returns the outcome with which the attempt is to end, None as long as it is to
    go on.
    """

    cluster: Cluster
    worker: DaskWorker
    wanted: Mapping[str, float]
    order: Order
    outcome_asked: Callable[[], Outcome | None]

    def sees_its_files(self) -> bool:
        """Return True if the host shares the file system."""
        marker = self.order.directory / f".{self.order.token}"
        marker.touch()
        is_seen: bool = self.cluster.ask(self.worker, "sees", str(marker))
        marker.unlink()
        return is_seen and not self.order.options.get("private")

    def execute_in_place(self) -> Ended:
        """Execute the attempt on a host that shares the file system, and return its end."""
        directory = str(self.order.directory)
        future = self._start("/", directory, PROGRAMS, self._document(), True)
        return self._follow(future, None)

    def execute_there(self) -> Ended:
        """Execute the attempt on a host with files of its own, and return its end."""
        order = self.order
        run = run_of(order)
        repository = repository_id(order.cwd)
        there = self.cluster.ask(self.worker, "run_directory", repository, run.name)
        path = str(order.directory.relative_to(run))
        place = Place(self.worker, repository, run, there, path)
        transfer = Transfer(self.cluster, place)
        programs = transfer.send_programs()
        commit = _git(order.cwd, "rev-parse", "HEAD")
        transfer.send_commit(order.cwd, commit)
        transfer.lay_out(commit, order.options.get("ship", ()))
        document = order_there(transfer, self._document())
        future = self._start(there, path, programs, document, False)
        return self._follow(future, transfer)

    def _document(self) -> dict[str, Any]:
        order = self.order
        return order_document(
            order, os.environ, beat_s=_BEAT_S, checkpoint_s=order.grace_s
        )

    def _start(
        self,
        run: str,
        path: str,
        programs: str,
        document: Mapping[str, Any],
        is_shared: bool,
    ) -> Any:
        """Let Dask execute the attempt; return its future. The paths are those of the host."""
        token = self.order.token
        how = (document, token, self.cluster.lease_s, is_shared)
        return self.cluster.start(
            self.worker, token, self.wanted, run, path, programs, *how
        )

    def _follow(self, future: Any, transfer: Transfer | None) -> Ended:
        """Wait until the attempt has ended, fetch all of it, and return its end.

        `transfer` is None if the file system is shared.
        """
        order, host = self.order, self.worker.host
        self._note_start()
        is_asked_to_end = False
        has_ended = threading.Event()
        future.add_done_callback(lambda _: has_ended.set())
        while future.status == "pending":
            outcome = self.outcome_asked()
            if outcome is not None and not is_asked_to_end:
                is_asked_to_end = True
                self._request_end(outcome, transfer)
            if transfer is None:
                self.cluster.ask(self.worker, "renew", str(order.directory))
            else:
                transfer.fetch_news()
            has_ended.wait(LOOK_S)
        if future.status == "error":
            raise HostRefused(f"{host}: {future.exception()}")
        if future.status != "finished":
            raise Unreachable(f"{host} or {self.cluster.scheduler} was lost")
        if transfer is not None:
            transfer.fetch_news()
            transfer.fetch_results()
        ended = recorded_end(order.directory, order.token)
        if ended is None:
            raise Unreachable(f"{host} has not said how the attempt ended")
        return ended

    def _request_end(self, outcome: Outcome, transfer: Transfer | None) -> None:
        if transfer is None:
            request_end(self.order.directory, self.order.token, outcome)
        else:
            transfer.request_end(self.order.token, outcome)

    def _note_start(self) -> None:
        """Note for `status` where the attempt runs, until the host's own note is there."""
        facts = {
            "token": self.order.token,
            "host": self.worker.host,
            "pid": 0,
            "job": self.worker.address,
        }
        began = self.order.directory / "began.json"
        if not began.exists():
            began.write_text(json.dumps(facts))


def run_of(order: Order) -> Path:
    """Return the directory of the run: the attempt's is `log/<task>/<number>` in it."""
    return order.directory.parents[2]


def repository_id(tree: Path) -> str:
    """Return the name of a worktree's repository on hosts."""
    common = _git(tree, "rev-parse", "--git-common-dir")
    whole = f"{os.uname().nodename}:{Path(tree, common).resolve()}"
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _git(tree: Path, *words: str) -> str:
    command = ["git", "-C", str(tree), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
