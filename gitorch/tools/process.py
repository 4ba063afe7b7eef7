"""The processes of this machine, as /proc shows them, and functions that end processes.

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

from gitorch.tools.pidfd import open_process, send_signal

_SHORTEST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05
# A killed process that waits for a broken disk or GPU does not end. It is given up after this time.
_UNKILLABLE_S = 30.0


class Process:
    """A process.

    `start` is in clock ticks since boot. It distinguishes the process from a later process with
    the same pid. `parent` changes when the parent ends. `has_ended` is True for a process that has
    ended, but is not reaped yet.
    """

    __slots__ = ("group", "has_ended", "parent", "pid", "start")

    # Not a named tuple: `typing` would be an eighth of what the supervisor of the slots loads.
    def __init__(
        self,
        pid: int,
        start: int,
        parent: int,
        group: int = 0,
        has_ended: bool = False,
    ) -> None:
        self.pid = pid
        self.start = start
        self.parent = parent
        self.group = group
        self.has_ended = has_ended

    def __repr__(self) -> str:
        return f"Process({self.pid}, {self.start}, {self.parent})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Process):
            return False
        return (self.pid, self.start) == (other.pid, other.start)

    def __hash__(self) -> int:
        return hash((self.pid, self.start))


def table() -> list[Process]:
    """Return all processes.

    /proc is not read in one moment. When this returns, some of the processes may be gone, new ones
    may be missing, and some may have another parent.
    """
    processes = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            process = _read(int(name))
            if process is not None:
                processes.append(process)
    return processes


def process_of(pid: int) -> Process | None:
    """Return the process with this pid, or None if no such process runs."""
    process = _read(pid)
    if process is None or process.has_ended:
        return None
    return process


def _read(pid: int) -> Process | None:
    """Return the process with this pid, or None if there is none that may be read.

    See proc(5), /proc/<pid>/stat: the fields 3, 4, 5, 20 and 22. A process whose main thread has
    ended looks like a zombie, but has other threads.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            _, _, behind_name = file.read().rpartition(b")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except (
        PermissionError
    ):  # another user's process, and /proc is mounted with hidepid=1
        return None
    fields = behind_name.split()
    state, threads = fields[0], int(fields[17])
    is_zombie = state == b"Z" and threads <= 1
    return Process(
        pid,
        start=int(fields[19]),
        parent=int(fields[1]),
        group=int(fields[2]),
        has_ended=is_zombie or state == b"X",
    )


@lru_cache
def boot_id() -> str:
    """Return the kernel's random id of this boot (proc(5)), or "" if there is no such id."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


class OomKills:
    """The number of processes on this machine that the kernel has killed to free memory.

    The number covers all control groups. An attempt that is killed for another reason while the
    kernel kills another process is therefore reported as out of memory. Only the kernel's log says
    which process the kernel has killed.
    """

    def __init__(self) -> None:
        self._noted = 0
        self._next_s = 0.0

    def note(self) -> None:
        """Note the number, unless that was done within the last second: it takes 30 us."""
        now = time.monotonic()
        if now >= self._next_s:
            self._next_s = now + 1.0
            self._noted = _oom_kills()

    def have_risen(self) -> bool:
        """Return True if the number is higher than the one that was noted, and forget that one."""
        self._next_s = 0.0
        return _oom_kills() > self._noted


def _oom_kills() -> int:
    try:
        with open("/proc/vmstat", "rb") as file:
            _, _, rest = file.read().partition(b"\noom_kill ")
        number, _, _ = rest.partition(b"\n")
        return int(number)
    except (OSError, ValueError):
        return 0


def command_line(pid: int) -> str:
    """Return the name of a process's program with its first argument, to be shown to people."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read(4096)).split("\0")
    except OSError:
        return "unknown"
    if os.path.basename(words[0]).startswith("python"):
        scripts = [word for word in words[1:] if not word.startswith("-")]
        words = scripts or words
    shown = " ".join([os.path.basename(words[0]), *words[1:2]])
    return "".join(filter(str.isprintable, shown))[:60].strip() or "unknown"


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with, empty if it cannot be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = os.fsdecode(file.read()).split("\0")
    except OSError:
        return {}
    pairs = [entry.partition("=") for entry in entries]
    return {name: value for name, equals, value in pairs if equals}


def process_start(pid: int) -> int:
    """Return the time at which a process started, in clock ticks since boot.

    Raises ProcessLookupError if there is no such process.
    """
    process = _read(pid)
    if process is None:
        reason = os.strerror(errno.ESRCH)
        raise ProcessLookupError(errno.ESRCH, reason, str(pid))
    return process.start


def descendants(ancestor: int) -> list[Process]:
    """Return the descendants of a process without the process itself, parents before children."""
    return with_descendants(table(), [ancestor], include=False)


def with_descendants(
    processes: Collection[Process], roots: Iterable[int], *, include: bool = True
) -> list[Process]:
    """Return the `processes` that descend from `roots`, parents before their children.

    A signal to all of them then reaches a program before it sees that its children have ended.
    With `include`, the roots are in the result too, before all others. Processes that have ended
    are followed and returned, since they may still be the parents of other processes in the table.
    """
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    roots = set(roots)
    found: dict[Process, None] = {}
    if include:
        found = {process: None for process in processes if process.pid in roots}
    pending = list(roots)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found and child.pid not in roots:
                found[child] = None
                pending.append(child.pid)
    return list(found)


def send(process: Process, number: int) -> bool:
    """Send a signal to exactly this process, and return False if that is not permitted.

    If the process has ended, return True.
    """
    try:
        descriptor = open_process(process.pid)
    except ProcessLookupError:
        return True
    try:
        now = process_of(process.pid)
        if now is not None and now.start == process.start:
            with suppress(ProcessLookupError):
                send_signal(process.pid, descriptor, number)
    except PermissionError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


def resume(process: Process) -> None:
    """Let exactly this process continue, if it is suspended."""
    send(process, signal.SIGCONT)


def ask_to_end(
    find: Callable[[], Iterable[Process]],
    grace_s: float,
    sleep: Callable[[float], None],
) -> None:
    """Ask the processes that `find` returns now to end, and wait until it returns none.

    Wait no longer than `grace_s` seconds. Programs that are started in this time are not asked to
    end: they may write a checkpoint.
    """
    deadline = time.monotonic() + grace_s
    for process in find():
        send(process, signal.SIGTERM)
        send(process, signal.SIGCONT)
    while time.monotonic() < deadline and list(find()):
        sleep(_LONGEST_PAUSE_S)


def end(
    find: Callable[[], Iterable[Process]],
    grace_s: float,
    *,
    by_group: bool = False,
    unkillable_s: float = _UNKILLABLE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Process]:
    """Ask the processes that `find` returns to end, and kill them after `grace_s` seconds.

    This continues until `find` returns no process that can be ended. With `by_group`, whole process
    groups are killed, because some programs fork faster than their children can be found. Return
    the processes that are still running: those that this user may not signal, and those that do not
    end within `unkillable_s` after they were killed.
    """
    deadline = time.monotonic() + grace_s
    asked: set[Process] = set()
    denied: set[Process] = set()
    given_up: dict[Process, float] = {}
    pause = _SHORTEST_PAUSE_S
    while found := [process for process in find() if process not in denied]:
        is_grace_over = time.monotonic() >= deadline
        for process in found:
            if is_grace_over:
                allowed = send(process, signal.SIGKILL)
                last = given_up.setdefault(process, time.monotonic() + unkillable_s)
                if time.monotonic() > last:
                    allowed = False
            elif process not in asked:
                # A stopped process receives SIGTERM only when it continues.
                allowed = send(process, signal.SIGTERM) and send(
                    process, signal.SIGCONT
                )
            else:
                continue
            if allowed:
                asked.add(process)
            else:
                denied.add(process)
        if is_grace_over and by_group:
            _kill_groups(found)
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return list(denied)


def _kill_groups(processes: Iterable[Process]) -> None:
    """Kill the process groups of `processes`, except the group of this process."""
    groups = {process.group for process in processes if process.group > 1}
    for group in groups - {os.getpgrp()}:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
