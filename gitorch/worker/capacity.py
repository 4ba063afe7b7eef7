"""What the machine has, and what of it the tasks of all workers have taken: never more than there is.

A ledger per user and machine, written under a lock. An entry counts for as long as the processes that see its task
through live, which a lock of theirs tells; so what a dead worker had taken is free when its last process is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.errors import Refused
from gitorch.git.repository import Repository
from gitorch.model.run.spec import Resources
from gitorch.tools import nvidia
from gitorch.tools.files import write_aside
from gitorch.tools.locks import is_held


def of_machine(repository: Repository) -> Resources:
    """The resources of the machine, or those that the settings cpus, gpus and memory state. Raises UsageError."""
    settings = repository.settings
    cpus = settings.cpus
    if cpus is None:
        cpus = len(os.sched_getaffinity(0))
    gpus = settings.gpus
    if gpus is None:
        gpus = len(nvidia.gpus())
    memory_bytes = settings.memory_bytes
    if memory_bytes is None:
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Resources(cpus=float(cpus), gpus=gpus, memory_bytes=memory_bytes)


class Ledger(Struct):
    """The open ledger, locked: what is free can be taken before anybody else looks."""

    total: Resources
    entries: dict[
        str, dict[str, Any]
    ]  # by token: amounts, the GPUs' indices, and the lock of its holder's processes

    @property
    def free(self) -> Resources:
        taken = self.entries.values()
        return Resources(
            cpus=max(0.0, self.total.cpus - sum(entry["cpus"] for entry in taken)),
            gpus=len(self._free_gpus()),
            memory_bytes=max(
                0, self.total.memory_bytes - sum(entry["memory_bytes"] for entry in taken)
            ),
        )

    def take(self, token: str, wanted: Resources, *, holder: Path) -> tuple[int, ...] | None:
        """Enter what is free; gives the indices of the GPUs, None if none were wanted."""
        gpus = self._free_gpus()[: wanted.gpus]
        self.entries[token] = {
            "cpus": wanted.cpus,
            "memory_bytes": wanted.memory_bytes,
            "gpus": gpus,
            "holder": str(holder),
        }
        return tuple(gpus) if wanted.gpus else None

    def give_back(self, token: str) -> None:
        self.entries.pop(token, None)

    def _free_gpus(self) -> list[int]:
        used = {gpu for entry in self.entries.values() for gpu in entry["gpus"]}
        return [gpu for gpu in range(self.total.gpus) if gpu not in used]


@contextmanager
def opened(repository: Repository, total: Resources) -> Iterator[Ledger]:
    """The ledger, nobody else's meanwhile; written back at the end if it was changed. Raises Refused."""
    directory = _directory(repository)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        path = directory / "taken.json"
        before = _read(path)
        ledger = Ledger(
            total=total,
            entries={
                token: entry for token, entry in before.items() if is_held(Path(entry["holder"]))
            },
        )
        yield ledger
        if ledger.entries != before:
            write_aside(path, json.dumps(ledger.entries).encode())
    finally:
        os.close(descriptor)


def _directory(repository: Repository) -> Path:
    """One for all of a user's repositories, whatever a session's environment says; or `gitorch.ledgerDir`."""
    path = Path(repository.settings.ledger_dir or f"/tmp/gitorch-{os.getuid()}")  # noqa: S108  checked below
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if (
        not path.is_dir()
        or path.is_symlink()
        or status.st_uid != os.getuid()
        or status.st_mode & 0o077
    ):
        raise Refused(
            f"{path} is not a directory of yours alone", hint=f"see whose it is: ls -ld {path}"
        )
    return path


def _read(path: Path) -> Mapping[str, dict[str, Any]]:
    try:
        entries = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
