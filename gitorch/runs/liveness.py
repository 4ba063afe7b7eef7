"""Who is working, and whether he is alive: a lock held, never a pid.

A worker locks `<state>/workers/<id>.lock` for as long as it lives; the processes that see its
attempts through hold `<id>.slots`, so that whoever takes over knows when the last of them is gone.
The kernel frees both however they die.
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
    def of(cls, state: Path, worker: str) -> WorkerLocks:
        directory = state / "workers"
        return cls(directory / f"{worker}.lock", directory / f"{worker}.slots")

    def remove(self) -> None:
        self.slots.unlink(missing_ok=True)
        self.alive.unlink(missing_ok=True)


def this_worker(worker: str) -> Worker:
    """How this process is known to the others."""
    return Worker(
        id=worker,
        host=socket.gethostname(),
        pid=os.getpid(),
        boot=boot_id(),
        process_start=str(process_start(os.getpid())),
        since=now(),
    )


def living(state: Path, workers: Iterable[Worker]) -> frozenset[str]:
    """The ids of those workers that are alive. For readers: takes nothing over and makes no file."""
    return frozenset(
        worker.id for worker in workers if is_held(WorkerLocks.of(state, worker.id).alive)
    )
