"""The last resort: what is left of attempts whose worker, supervisor and slots were killed at once.

A process belongs to an attempt if its environment contains the attempt's token, if it has the
attempt's log open for writing (it may have cleared its environment), or if it descends from such a
process. A token never names another attempt, so it does no harm that a process number is used
again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitorch.model.workspace import AttemptDirectory
from gitorch.tools import process
from gitorch.tools.process import Process

TOKEN = "GITORCH_TOKEN"  # noqa: S105 - the name of the variable, not a secret

_FileId = tuple[int, int]


def sweep(attempts: Mapping[str, Path], *, grace_s: float = 3.0) -> int:
    """End all processes of `attempts`, directories by token. Return their number.

    Processes of other users are spared. So are this process and its ancestors, since the user's
    shell may have been given a task's environment.
    """
    if not attempts:
        return 0
    markers = {f"{TOKEN}={token}".encode() for token in attempts}
    logs = set()
    for directory in attempts.values():
        log = _file_id(AttemptDirectory(directory).log)
        if log is not None:
            logs.add(log)
    ended: set[Process] = set()

    def find() -> list[Process]:
        table = {running.pid: running for running in process.table()}
        spared = set(_ancestry(table))
        roots = [pid for pid in table if pid not in spared and _belongs(pid, markers, logs)]
        found = []
        for candidate in process.with_descendants(table.values(), roots):
            if candidate.pid not in spared and not candidate.has_ended:
                found.append(candidate)
        ended.update(found)
        return found

    process.end(find, grace_s)
    return len(ended)


def _ancestry(table: Mapping[int, Process]) -> list[int]:
    """Return the pids of this process, its parent, and so on."""
    pids = [os.getpid()]
    while (ancestor := table.get(pids[-1])) and ancestor.parent not in pids:
        pids.append(ancestor.parent)
    return pids


def _belongs(pid: int, markers: set[bytes], logs: set[_FileId]) -> bool:
    """Return True if a process of ours has one of the markers, or one of the logs open."""
    directory = Path(f"/proc/{pid}")
    try:
        if directory.stat().st_uid != os.geteuid():
            return False
        variables = (directory / "environ").read_bytes().split(b"\0")
        if not markers.isdisjoint(variables):
            return True
        return any(_writes(pid, descriptor, logs) for descriptor in (directory / "fd").iterdir())
    except OSError:  # the process has ended, or may not be examined
        return False


def _writes(pid: int, descriptor: Path, files: set[_FileId]) -> bool:
    """Return True if the descriptor, a file in /proc, is open for writing on one of the files."""
    if _file_id(descriptor) not in files:
        return False
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "flags":
                return int(value, 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _file_id(path: Path) -> _FileId | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
