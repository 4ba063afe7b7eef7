"""The last resort: end the processes of attempts whose worker, supervisor and slots were killed.

A process belongs to an attempt if its environment contains the attempt's token, if it can write to
the attempt's output (it may have cleared its environment), or if it descends from such a process.
The output is a pipe, or the log itself if an earlier version started the attempt. Every attempt has
another token, so a process id that the system uses again does no harm. The number of a pipe is used
again only after 2³² others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitorch.model.workspace import AttemptDirectory
from gitorch.tools import process
from gitorch.tools.process import Process
from gitorch.tools.untrusted import read_plain

TOKEN = "GITORCH_TOKEN"  # noqa: S105 - the name of the variable, not a secret

_FileId = tuple[int, int]


def sweep(attempts: Mapping[str, Path], *, grace_s: float = 3.0) -> int:
    """End all processes of the attempts, and return the number of processes.

    `attempts` holds the directory of each attempt by its token. Processes of other users are
    spared. This process and its ancestors are spared too, since the user may have copied a task's
    environment into the shell.
    """
    if not attempts:
        return 0
    markers = {f"{TOKEN}={token}".encode() for token in attempts}
    streams = set()
    for directory in attempts.values():
        stream = _output(AttemptDirectory(directory))
        if stream is not None:
            streams.add(stream)
    ended: set[Process] = set()

    def find() -> list[Process]:
        table = {}
        for running in process.table():
            table[running.pid] = running
        spared = set(_ancestry(table))
        roots = []
        for pid in table.keys() - spared:
            if _belongs(pid, markers, streams):
                roots.append(pid)
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
    pids: list[int] = []
    pid = os.getpid()
    while pid not in pids:
        pids.append(pid)
        if pid in table:
            pid = table[pid].parent
    return pids


def _output(attempt: AttemptDirectory) -> _FileId | None:
    """Return the file to which the processes of an attempt write their output."""
    try:
        number = int(read_plain(attempt.pipe, 100, below=attempt.path))
    except (OSError, ValueError):
        return _file_id(attempt.log)
    reader, writer = os.pipe()
    try:
        return os.fstat(writer).st_dev, number
    finally:
        os.close(reader)
        os.close(writer)


def _belongs(pid: int, markers: set[bytes], streams: set[_FileId]) -> bool:
    """Return True if a process of this user has one of the markers or writes to one of the streams.

    A marker is a variable in the environment of the process.
    """
    directory = Path(f"/proc/{pid}")
    try:
        if directory.stat().st_uid != os.geteuid():
            return False
        variables = (directory / "environ").read_bytes().split(b"\0")
        if not markers.isdisjoint(variables):
            return True
        descriptors = directory / "fd"
        return any(
            _writes(pid, descriptor, streams)
            for descriptor in descriptors.iterdir()
        )
    except OSError:  # the process has ended, or may not be examined
        return False


def _writes(pid: int, descriptor: Path, files: set[_FileId]) -> bool:
    """Return True if a process has one of the files open for writing.

    `descriptor` is the path of the process's descriptor in /proc.
    """
    if _file_id(descriptor) not in files:
        return False
    with suppress(OSError):
        facts = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
        for line in facts.splitlines():
            name, _, value = line.partition(":")
            if name == "flags":
                access = int(value, 8) & os.O_ACCMODE
                return access != os.O_RDONLY
    return False


def _file_id(path: Path) -> _FileId | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
