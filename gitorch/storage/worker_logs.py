"""The logs of the workers in the background: what `run` would have printed on a terminal.

A log is named by the id and the pid of its worker, which locks it for as long as it writes to it.
The log stays when the worker has ended.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitorch.database.values import Worker
from gitorch.storage.site import Site
from gitorch.tools.locks import LockedFile, create_locked, is_held

_KEPT = 10


class WorkerLog(Struct, frozen=True):
    """The log of a worker in the background."""

    path: Path
    worker_id: str
    pid: int

    @classmethod
    def of(cls, state: Path, worker: Worker) -> WorkerLog:
        path = state / "workers" / f"{worker.id}-{worker.pid}.log"
        return cls(path, worker.id, worker.pid)

    def is_written(self) -> bool:
        """Return True if the worker still writes to the log."""
        return is_held(self.path)


def create_log(site: Site, worker: Worker) -> LockedFile:
    """Create and lock the log of a worker. Raises OSError, Busy.

    Of the logs of workers that have ended, the last ones are kept.
    """
    ended = [old for old in worker_logs(site) if not old.is_written()]
    for old in ended[_KEPT - 1 :]:
        old.path.unlink(missing_ok=True)
    return create_locked(WorkerLog.of(site.state, worker).path)


def worker_logs(site: Site) -> list[WorkerLog]:
    """Return all logs of workers, the one that was written to last first."""
    logs = []
    for path in (site.state / "workers").glob("*-*.log"):
        worker_id, _, pid = path.stem.partition("-")
        # Another process may remove a log.
        with suppress(FileNotFoundError):
            if pid.isdecimal():
                changed = path.stat().st_mtime_ns
                logs.append((changed, WorkerLog(path, worker_id, int(pid))))
    return [log for _, log in sorted(logs, key=lambda pair: pair[0], reverse=True)]
