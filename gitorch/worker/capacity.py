"""The resources of the machine, and a ledger of those that the tasks of all workers have taken.

Each user has one ledger on a machine; it is written under a lock. An entry counts as long as the
engine's processes for its task live, that is, as long as their lock is held. The resources of a
dead worker are therefore free when the last of its processes is gone.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitorch.errors import Busy, Refused
from gitorch.git.repository import Repository
from gitorch.model.run.spec import Resources
from gitorch.tools import nvidia
from gitorch.tools.files import write_aside
from gitorch.tools.locks import how_to_free, is_held, lock_within
from gitorch.tools.untrusted import read_plain

# A worker does something else in between, and tries again.
_PATIENCE_S = 5.0


def of_machine(repository: Repository) -> Resources:
    """Return the resources of the machine, or those in the settings cpus, gpus and memory.

    Raises UsageError if a setting is invalid.
    """
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
    """The open ledger. It is locked, so that no other worker can take free resources."""

    total: Resources
    # By token: the amounts, the indices of the GPUs, and the lock that the holder's processes hold.
    entries: dict[str, dict[str, Any]]

    @property
    def free(self) -> Resources:
        taken_cpus = sum(entry["cpus"] for entry in self.entries.values())
        taken_bytes = sum(entry["memory_bytes"] for entry in self.entries.values())
        # A worker with other settings may have taken more than our total.
        return Resources(
            cpus=max(0.0, self.total.cpus - taken_cpus),
            gpus=len(self._free_gpus()),
            memory_bytes=max(0, self.total.memory_bytes - taken_bytes),
        )

    def take(
        self, token: str, wanted: Resources, *, holder: Path
    ) -> tuple[int, ...] | None:
        """Enter the resources that a task wants, which must be free.

        Return the indices of its GPUs, or None if it wants none.
        """
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
        used: set[int] = set()
        for entry in self.entries.values():
            used.update(entry["gpus"])
        return [gpu for gpu in range(self.total.gpus) if gpu not in used]


_LARGEST_LEDGER = 1 << 24  # bytes


@contextmanager
def opened(repository: Repository, total: Resources) -> Iterator[Ledger]:
    """Lock the ledger and yield it. Write the ledger at the end if it was changed.

    Raises Refused if its directory is not safe, and Busy.
    """
    directory = _directory(repository)
    descriptor = os.open(
        directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        if not lock_within(descriptor, _PATIENCE_S, f"the ledger {directory}"):
            raise Busy(
                f"another process has been using the ledger {directory} for {_PATIENCE_S:.0f} s",
                hint=how_to_free(directory / "lock"),
            )
        path = directory / "taken.json"
        before = _read(path)
        entries = {}
        for token, entry in before.items():
            if is_held(Path(entry["holder"])):
                entries[token] = entry
        ledger = Ledger(total=total, entries=entries)
        yield ledger
        if ledger.entries != before:
            write_aside(path, json.dumps(ledger.entries).encode())
    finally:
        os.close(descriptor)


def _directory(repository: Repository) -> Path:
    """Return the directory of the ledger, which all repositories of the user share.

    Without `gitorch.ledgerDir` it does not depend on the environment, because all sessions of the
    user must find it.
    """
    default = f"/tmp/gitorch-{os.getuid()}"  # noqa: S108 - checked below
    path = Path(repository.settings.ledger_dir or default)
    path.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(path):
        raise Refused(
            f"{path} is not a directory that only you can access",
            hint=f"see its owner and its mode: ls -ld {shlex.quote(str(path))}",
        )
    return path


def _is_private(path: Path) -> bool:
    """Return True if `path` is a directory of this user that no other user can access."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):  # a link to a directory is not one
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o077


def _read(path: Path) -> Mapping[str, dict[str, Any]]:
    try:
        entries = json.loads(read_plain(path, _LARGEST_LEDGER))
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
