"""Who is working, and whether he is alive: a lock held, never a pid.

A worker locks `<state>/workers/<id>.lock` for as long as it lives; the processes that see its attempts through hold
`<id>.slots`, so that whoever takes over knows when the last of them is gone. The kernel frees both however they die.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitorch.queue.queue import Worker
from gitorch.tools.clock import now


@dataclass(frozen=True, slots=True)
class WorkerLocks:
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
        process_start=process_start(os.getpid()),
        since=now(),
    )


def boot_id() -> str:
    """What the kernel calls the time since it was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def process_start(pid: int) -> str:
    """When a process began, in clock ticks since boot (proc(5), field 22 of stat)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, which nobody else has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def taken_over(path: Path, *, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock at `path` if its holder is dead, or dies within `wait_s` seconds; gives whether it is held.

    A lock file that is gone has no holder: its worker was unregistered while we looked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + wait_s
        held = _try_lock(descriptor)
        while not held and time.monotonic() < deadline:
            time.sleep(0.02)
            held = _try_lock(descriptor)
        yield held
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def living(state: Path, workers: Iterable[Worker]) -> frozenset[str]:
    """The ids of those workers that are alive. For readers: takes nothing over and makes no file."""
    return frozenset(worker.id for worker in workers if is_held(WorkerLocks.of(state, worker.id).alive))


def is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
