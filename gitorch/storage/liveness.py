"""The workers that are alive: those that hold their lock. A pid is never trusted.

A worker holds a lock on `<state>/workers/<id>.lock` for as long as it lives. The processes that
supervise its attempts hold `<id>.slots`, so that the recovery from the worker's death knows when
the last of them is gone. The kernel frees both locks however the processes die.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from gitorch.database.values import Worker
from gitorch.tools.clock import now
from gitorch.tools.locks import is_held
from gitorch.tools.process import boot_id, process_start


class WorkerLocks(Struct, frozen=True):
    """The two lock files of one worker."""

    alive: Path
    slots: Path

    @classmethod
    def of(cls, state: Path, worker_id: str) -> WorkerLocks:
        directory = state / "workers"
        return cls(
            directory / f"{worker_id}.lock", directory / f"{worker_id}.slots"
        )

    def remove(self) -> None:
        self.slots.unlink(missing_ok=True)
        self.alive.unlink(missing_ok=True)


def this_worker(worker_id: str) -> Worker:
    """Return the entry with which this process registers as a worker."""
    return Worker(
        id=worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        boot=boot_id(),
        process_start=str(process_start(os.getpid())),
        since=now(),
    )


def living(state: Path, workers: Iterable[Worker]) -> frozenset[str]:
    """Return the ids of the workers that are alive, without making a file or keeping a lock."""
    alive = []
    for worker in workers:
        if is_held(WorkerLocks.of(state, worker.id).alive):
            alive.append(worker.id)
    return frozenset(alive)
