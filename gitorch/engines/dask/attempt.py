"""One attempt on a worker of Dask: its way to the host, its execution there, and its way back."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitorch.engines.contract import Ended, Order
from gitorch.engines.dask import files
from gitorch.engines.dask.beyond_git import beyond_git
from gitorch.engines.dask.cluster import Cluster, DaskWorker, HostRefused
from gitorch.engines.dask.execution import Execution
from gitorch.engines.dask.programs import PROGRAMS
from gitorch.engines.dask.transfer import Place, Transfer, order_there
from gitorch.engines.dask.watch import Watched, WorkerWatch
from gitorch.engines.order_files import order_document, request_end
from gitorch.model.run.outcome import Outcome
from gitorch.tools.files import resolved

_BEAT_S = 5.0


class DaskAttempt:
    """An order on a worker of Dask: `prepare` it, then `execute` it."""

    def __init__(
        self,
        cluster: Cluster,
        worker: DaskWorker,
        order: Order,
        woken: threading.Event,
        outcome_asked: Callable[[], Outcome | None],
    ) -> None:
        """`outcome_asked` returns the outcome with which the attempt is to end, or None.

        `woken` is set when there is one.
        """
        self._cluster = cluster
        self._worker = worker
        self._order = order
        self._woken = woken
        self._outcome_asked = outcome_asked
        self._transfer: Transfer | None = None  # None: the file system is shared

    def place_in(self, directory: str) -> Place:
        """Return the place of the run on a host that keeps everything in this directory."""
        order, run = self._order, run_of(self._order)
        repository = repository_id(order.cwd)
        there = f"{directory}/{repository}/runs/{run.name}"
        path = str(order.directory.relative_to(run))
        return Place(self._worker, repository, run, there, path)

    def prepare(self, place: Place) -> None:
        """Bring the files of the run to a host that does not share the file system."""
        order = self._order
        admin = _admin_directory(order.cwd)
        commit = (admin / "HEAD").read_text().strip()  # it is detached
        beyond = beyond_git(order.cwd, admin, commit)
        self._transfer = Transfer(self._cluster, place)
        tree = beyond.files(order.cwd)
        if not order.options.get("pristine"):  # git need not be asked then
            tree.update(files.delta(order.cwd, commit))
        code = (commit, beyond.submodules)
        self._transfer.prepare(*code, tree, order.options.get("ship", ()))

    def execute(self, wanted: Mapping[str, float], watch: WorkerWatch) -> Ended:
        """Execute the attempt, fetch all of it, and return its end."""
        order = self._order
        self._note_start()
        there = None if self._transfer is None else self._transfer.directory
        watched = Watched(order.token, order.directory, there, self._woken)
        future = self._cluster.start(
            self._worker, order.token, wanted, self._request()
        )
        future.add_done_callback(lambda _: self._woken.set())
        watch.add(watched)
        try:
            self._wait(future, watched)
        finally:
            watch.remove(watched)
        left = self._cluster.result(self._worker, future)
        ended = Ended.from_json(left["ended"])
        if ended.token != order.token:
            raise HostRefused(
                f"{self._worker.host} has sent the end of another one"
            )
        if self._transfer is not None:
            self._transfer.fetch_results(left)
        return ended

    def _request(self) -> Execution:
        order = self._order
        document = order_document(
            order, os.environ, beat_s=_BEAT_S, checkpoint_s=order.grace_s
        )
        how = (order.token, self._cluster.lease_s)
        transfer = self._transfer
        if transfer is None:
            directory = str(order.directory)
            return Execution("/", directory, PROGRAMS, document, *how, None)
        place = transfer.place
        document = order_there(transfer, document)
        return Execution(
            place.there,
            place.attempt,
            transfer.programs,
            document,
            *how,
            place.repository,
        )

    def _wait(self, future: Any, watched: Watched) -> None:
        """Wait until the attempt has ended, and let it end if that is asked for."""
        is_asked_to_end = False
        while future.status == "pending":
            outcome = self._outcome_asked()
            if outcome is not None and not is_asked_to_end:
                is_asked_to_end = True
                self._request_end(outcome)
            if watched.failure is not None:
                raise watched.failure
            self._woken.wait()
            self._woken.clear()

    def _request_end(self, outcome: Outcome) -> None:
        order = self._order
        if self._transfer is None:
            request_end(order.directory, order.token, outcome)
            return
        where = (self._transfer.directory, order.token, outcome.to_json())
        self._cluster.ask(self._worker, "request_end", *where)

    def give_up(self, outcome: Outcome) -> None:
        """Let the attempt end if its host can still see its files. Otherwise its lease expires."""
        if self._transfer is None:
            with suppress(OSError):
                request_end(self._order.directory, self._order.token, outcome)

    def _note_start(self) -> None:
        """Note for `status` where the attempt runs, until the host's own notes are there."""
        facts = {
            "token": self._order.token,
            "host": self._worker.host,
            "pid": 0,
            "job": self._worker.address,
            "engine": self._order.engine,
        }
        began = self._order.directory / "began.json"
        if not began.exists():
            began.write_text(json.dumps(facts))
        # A slot opens the log first. The host sends the log only when there is something in it.
        (self._order.directory / "log.txt").touch()


def run_of(order: Order) -> Path:
    """Return the directory of the run: the attempt's is `log/<task>/<number>` in it."""
    return order.directory.parents[2]


def repository_id(tree: Path) -> str:
    """Return the name of a worktree's repository on hosts."""
    admin = _admin_directory(tree)
    common = resolved(Path(admin, (admin / "commondir").read_text().strip()))
    whole = f"{os.uname().nodename}:{common}"
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _admin_directory(tree: Path) -> Path:
    """Return what git knows of a linked worktree. Starting git for this takes 5 ms."""
    link = (tree / ".git").read_text()
    return Path(tree, link.removeprefix("gitdir: ").strip())
