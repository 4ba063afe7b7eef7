"""The last resort: finding what is left of attempts whose worker, supervisor and slots were all killed at once.

A process belongs to an attempt if its environment bears the attempt's token, if it has the attempt's log open for
writing (it may have cleared its environment), or if it descends from one of these. A token names one attempt for ever,
so a process number that was given to another process since is no danger.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitorch.model.workspace import AttemptDirectory
from gitorch.tools import process
from gitorch.tools.process import Process

TOKEN = "GITORCH_TOKEN"  # noqa: S105 - the variable's name, and no secret

_FileId = tuple[int, int]


def sweep(attempts: Mapping[str, Path], *, grace_s: float = 3.0) -> int:
    """End all that is left of `attempts`, directories by token. Gives how many processes that were.

    Those of other users are left alone, and so are this process and what it descends from: a shell may have been
    given a task's environment.
    """
    marks = {f"{TOKEN}={token}".encode() for token in attempts}
    logs = set(filter(None, (_file_id(AttemptDirectory(path).log) for path in attempts.values())))
    ended: set[Process] = set()

    def find() -> list[Process]:
        table = {found.pid: found for found in process.table()}
        spared = set(_ancestry(table))
        roots = [pid for pid in table if pid not in spared and _belongs(pid, marks, logs)]
        left = process.with_descendants(table.values(), roots)
        found = [found for found in left if found.pid not in spared and not found.has_ended]
        ended.update(found)
        return found

    if attempts:
        process.end(find, grace_s)
    return len(ended)


def _ancestry(table: Mapping[int, Process]) -> list[int]:
    """This process, its parent, and so on."""
    line = [os.getpid()]
    while (here := table.get(line[-1])) and here.parent not in line:
        line.append(here.parent)
    return line


def _belongs(pid: int, marks: set[bytes], logs: set[_FileId]) -> bool:
    try:
        if Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
            return False
        if not marks.isdisjoint(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
            return True
        return any(
            _writes(pid, descriptor, logs) for descriptor in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:  # it has ended, or does not let itself be looked at
        return False


def _writes(pid: int, descriptor: Path, files: set[_FileId]) -> bool:
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
