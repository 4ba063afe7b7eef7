"""Processes of this machine, as /proc shows them, and how to end them: gently, then firmly.

Standard library only, since the slot supervisor starts without site-packages.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

_SHORTEST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


class Process(NamedTuple):
    """A process, told from a later one of the same number by its start, in clock ticks since boot."""

    pid: int
    start: int
    parent: int  # changes when the parent ends
    group: int = 0
    has_ended: bool = False  # and waits to be reaped

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and self[:2] == other[:2]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:2])


def table() -> list[Process]:
    """All processes. It is not read at one moment: some are gone, some are missing, some have another parent by now."""
    return [
        found for name in os.listdir("/proc") if name.isdecimal() and (found := _read(int(name)))
    ]


def process_of(pid: int) -> Process | None:
    """The process of this number, if it runs."""
    found = _read(pid)
    return None if found is None or found.has_ended else found


def _read(pid: int) -> Process | None:
    """A line of the table (proc(5): fields 3, 4, 5, 20 and 22 of stat).

    One whose main thread has ended looks like a zombie, but has other threads.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (
        FileNotFoundError,
        ProcessLookupError,
        PermissionError,
    ):  # the last with /proc mounted hidepid=1
        return None
    has_ended = fields[0] == b"X" or (fields[0] == b"Z" and int(fields[17]) <= 1)
    return Process(pid, int(fields[19]), int(fields[1]), int(fields[2]), has_ended)


@lru_cache
def boot_id() -> str:
    """Return the kernel's random id of this boot, or "" if the kernel does not say (proc(5))."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def process_start(pid: int) -> int:
    """Return when a process started, in clock ticks since boot.

    Raises ProcessLookupError if there is no such process.
    """
    process = _read(pid)
    if process is None:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(pid))
    return process.start


def descendants(ancestor: int) -> list[Process]:
    """What descends from a process, itself left out."""
    return with_descendants(table(), [ancestor], include=False)


def with_descendants(
    processes: Collection[Process], roots: Iterable[int], *, include: bool = True
) -> list[Process]:
    """Those of `processes` that descend from `roots`, and these as well if `include`.

    Those that have ended are among them, and lead to others: they may have been parents when their children were read.
    """
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    roots = set(roots)
    found = {process for process in processes if include and process.pid in roots}
    pending = list(roots)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found and child.pid not in roots:
                found.add(child)
                pending.append(child.pid)
    return list(found)


def send(process: Process, number: int) -> bool:
    """Signal exactly this process; False if we may not. One that has ended meanwhile is well."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        now = process_of(process.pid)
        if now is not None and now.start == process.start:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
    except PermissionError:
        return False
    finally:
        os.close(descriptor)
    return True


def end(
    find: Callable[[], Iterable[Process]], grace_s: float, *, by_group: bool = False
) -> list[Process]:
    """Ask all that `find` finds to end, make them after `grace_s` seconds, until it finds nothing.

    `by_group`: their process groups are made to end as well, for what forks faster than it can be found. Gives those
    that we may not signal, being another user's: they live.
    """
    deadline = time.monotonic() + grace_s
    asked: set[Process] = set()
    denied: set[Process] = set()
    pause = _SHORTEST_PAUSE_S
    while found := [process for process in find() if process not in denied]:
        is_firm = time.monotonic() >= deadline
        for process in found:
            if is_firm:
                allowed = send(process, signal.SIGKILL)
            elif process not in asked:
                # One that is stopped takes the first only when it goes on.
                allowed = send(process, signal.SIGTERM) and send(process, signal.SIGCONT)
            else:
                continue
            (asked if allowed else denied).add(process)
        if is_firm and by_group:
            for group in {process.group for process in found if process.group > 1} - {os.getpgrp()}:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return list(denied)
