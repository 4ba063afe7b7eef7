"""Processes of this machine, as /proc shows them, and how to end them: gently, then firmly.

Standard library only, since the slot supervisor starts without site-packages.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_SHORTEST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one of the same number by its start, in clock ticks since boot."""

    pid: int
    start: int
    parent: int = field(compare=False)  # changes when the parent ends


def running() -> Iterator[Process]:
    """All processes that have not ended yet: one that only waits to be reaped does not count."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and (process := process_of(int(name))):
            yield process


def process_of(pid: int) -> Process | None:
    """The process of this number, if it runs (proc(5): fields 3, 4, 20 and 22 of stat).

    One whose main thread has ended looks like a zombie, but has other threads.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # the last with /proc mounted hidepid=1
        return None
    if fields[0] == b"X" or (fields[0] == b"Z" and int(fields[17]) <= 1):
        return None
    return Process(pid, int(fields[19]), int(fields[1]))


def descendants(ancestor: int) -> list[Process]:
    """What descends from a process, itself left out. Complete if that is a subreaper."""
    return with_descendants(running(), [ancestor], include=False)


def with_descendants(processes: Iterable[Process], roots: Iterable[int], *, include: bool = True) -> list[Process]:
    """Those of `processes` that descend from `roots`, and these as well if `include`."""
    children: dict[int, list[Process]] = {}
    by_pid: dict[int, Process] = {}
    for process in processes:
        by_pid[process.pid] = process
        children.setdefault(process.parent, []).append(process)
    roots = set(roots)
    found = {pid: by_pid[pid] for pid in roots if include and pid in by_pid}
    pending = list(roots)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child.pid not in found and child.pid not in roots:
                found[child.pid] = child
                pending.append(child.pid)
    return list(found.values())


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


def end(find: Callable[[], list[Process]], grace_s: float) -> list[Process]:
    """Ask all that `find` finds to end, make them after `grace_s` seconds, until it finds nothing.

    A stopped process takes no TERM until it continues. Gives those that we may not signal (of another user): they live.
    """
    deadline = time.monotonic() + grace_s
    asked: set[Process] = set()
    denied: set[Process] = set()
    pause = _SHORTEST_PAUSE_S
    while found := [process for process in find() if process not in denied]:
        firm = time.monotonic() >= deadline
        for process in found:
            if firm:
                allowed = send(process, signal.SIGKILL)
            elif process not in asked:
                allowed = send(process, signal.SIGTERM) and send(process, signal.SIGCONT)
            else:
                continue
            (asked if allowed else denied).add(process)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return list(denied)
