"""The workers that are alive: those that hold their lock. A pid is never trusted.

A worker holds a lock on `<state>/workers/<id>.lock` for as long as it lives. The processes that
supervise its attempts hold `<id>.slots`, so that the recovery from the worker's death knows when
the last of them is gone. The kernel frees both locks however the processes die. Neither the name
of the host nor the boot says that a worker is dead: another container of the same machine has
another name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from gitorch.database.values import Worker
from gitorch.storage.site import Site
from gitorch.tools.clock import now
from gitorch.tools.locks import is_held
from gitorch.tools.process import boot_id, process_of, process_start
from gitorch.tools.untrusted import read_plain

_LONGEST_NOTE = 20  # bytes
_MOST_JOBS = 100_000  # of one worker, whatever its file says


class WorkerFiles(Struct, frozen=True):
    """The files of one worker: its two locks, what it masks, and the request that it stops."""

    alive: Path
    slots: Path
    secrets: Path
    stop: Path

    @classmethod
    def of(cls, state: Path, worker_id: str) -> WorkerFiles:
        directory = state / "workers"
        return cls(
            directory / f"{worker_id}.lock",
            directory / f"{worker_id}.slots",
            directory / f"{worker_id}.secrets",
            directory / f"{worker_id}.stop",
        )

    def remove(self) -> None:
        self.stop.unlink(missing_ok=True)
        self.secrets.unlink(missing_ok=True)
        self.slots.unlink(missing_ok=True)
        self.alive.unlink(missing_ok=True)


def note_jobs(files: WorkerFiles, jobs: int) -> None:
    """Note how many tasks a worker runs at a time, in the file whose lock it holds."""
    files.alive.write_text(f"{jobs}\n")


def noted_jobs(state: Path, worker: Worker) -> int:
    """Return how many tasks a worker runs at a time, 0 if it has not noted it."""
    try:
        text = read_plain(WorkerFiles.of(state, worker.id).alive, _LONGEST_NOTE)
        return min(int(text), _MOST_JOBS)
    except (OSError, ValueError):
        return 0


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
        if is_alive(state, worker):
            alive.append(worker.id)
    return frozenset(alive)


def void_copied(site: Site) -> None:
    """Make a queue that was copied from another repository this repository's own.

    The processes of the original's attempts are not touched. If the original still exists, its runs
    leave the queue: see `clone_identity.py`. Only programs that take over the work
    of others call this; those that only read leave the queue as it is.
    """
    if site.queue.is_copy():
        # Imported here, because most programs only read.
        from gitorch.storage.recording import drop_foreign  # noqa: PLC0415

        site.queue.void_copied(living(site.state, site.queue.workers()))
        drop_foreign(site)


def is_alive(state: Path, worker: Worker) -> bool:
    """Return True if the worker holds its lock.

    If the file of the lock was removed, the worker may still hold the lock. Then the worker is
    alive if its process is.
    """
    path = WorkerFiles.of(state, worker.id).alive
    if is_held(path):
        return True
    if path.exists() or worker.boot != boot_id():
        return False
    process = process_of(worker.pid)
    return process is not None and str(process.start) == worker.process_start
