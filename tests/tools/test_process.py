"""Processes are read from /proc and signalled without ever reaching another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitorch.tools import process
from gitorch.tools.process import Process


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as child:
        yield child
        child.kill()


def known(pid: int) -> Process:
    found = process.process_of(pid)
    assert found is not None
    return found


def test_a_process_and_its_parent(child: subprocess.Popen[bytes]) -> None:
    found = known(child.pid)
    assert (found.pid, found.parent) == (child.pid, os.getpid())
    assert found in process.table()
    assert found in process.descendants(os.getpid())


def test_start_of_a_process(child: subprocess.Popen[bytes]) -> None:
    assert process.process_start(child.pid) == known(child.pid).start
    child.kill()
    child.wait()
    with pytest.raises(ProcessLookupError):
        process.process_start(child.pid)


def test_boot_id_is_the_kernels() -> None:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert process.boot_id() == boot_id


def test_a_zombie_does_not_run(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.process_of(child.pid) is None
    assert [
        found.has_ended
        for found in process.descendants(os.getpid())
        if found.pid == child.pid
    ] == [True]


def test_descendants_are_found_below_a_process_that_has_ended() -> None:
    read = [Process(2, 0, 1), Process(3, 0, 2, has_ended=True), Process(4, 0, 3)]
    assert {found.pid for found in process.with_descendants(read, [2])} == {2, 3, 4}
    assert {
        found.pid for found in process.with_descendants(read, [3], include=False)
    } == {4}


def test_parents_come_before_their_children() -> None:
    """A program must not see its children end before it gets the signal itself."""
    parents = {2: 1, 9: 2, 3: 9, 8: 3, 4: 2, 7: 4}
    read = []
    for pid, parent in parents.items():
        read.append(Process(pid, start=0, parent=parent, group=1, has_ended=False))
    for processes in (read, read[::-1]):
        found = [one.pid for one in process.with_descendants(processes, [2])]
        assert sorted(found) == sorted(parents)
        for pid in found[1:]:
            assert found.index(parents[pid]) < found.index(pid)


def test_a_process_whose_main_thread_has_ended_runs() -> None:
    script = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=[600]).start()\n"
        "print('up', flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as started:
        assert started.stdout is not None
        started.stdout.readline()
        try:
            deadline = time.monotonic() + 10
            while (
                "Z (zombie)" not in Path(f"/proc/{started.pid}/status").read_text()
            ):
                assert time.monotonic() < deadline
            assert process.process_of(started.pid)
        finally:
            started.kill()


def test_descendants_of_several() -> None:
    family = [
        Process(pid, 0, parent)
        for pid, parent in ((2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 7))
    ]

    def pids(roots: list[int], *, include: bool = True) -> list[int]:
        return sorted(
            found.pid
            for found in process.with_descendants(family, roots, include=include)
        )

    assert pids([2]) == [2, 3, 4]
    assert pids([2], include=False) == [3, 4]
    assert pids([3, 5]) == [3, 4, 5, 6]
    assert pids([1]) == [2, 3, 4, 5, 6]
    assert pids([7]) == [7]
    assert pids([99]) == []


def test_a_signal_does_not_reach_another_process_with_the_same_pid(
    child: subprocess.Popen[bytes],
) -> None:
    earlier = Process(child.pid, known(child.pid).start - 1, os.getpid())
    assert process.send(earlier, signal.SIGKILL)
    assert child.poll() is None
    assert process.send(known(child.pid), signal.SIGKILL)
    assert child.wait(5) == -9
    assert process.send(earlier, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_processes_that_may_not_be_signalled_are_returned(
    child: subprocess.Popen[bytes],
) -> None:
    """They are setuid children, for example. To wait for them would be to wait for ever."""
    found = known(child.pid)
    given: list[list[Process]] = []

    def as_nobody() -> None:
        libc_setresuid(65534)
        given.append(process.end(lambda: [found], grace_s=0.05))

    thread = threading.Thread(target=as_nobody)
    thread.start()
    thread.join(10)
    assert given == [[found]]
    assert child.poll() is None


def test_a_killed_process_that_does_not_end_is_returned(
    child: subprocess.Popen[bytes],
) -> None:
    """Nothing reaps the child here, as if it waited for a broken disk."""
    found = known(child.pid)
    assert process.end(lambda: [found], grace_s=0, unkillable_s=0.1) == [found]


def libc_setresuid(uid: int) -> None:
    """Set the user ids of this thread only; the C library's function sets those of all threads."""
    import ctypes  # noqa: PLC0415

    setresuid = {"x86_64": 117, "aarch64": 147}[os.uname().machine]
    if ctypes.CDLL(None, use_errno=True).syscall(setresuid, uid, uid, uid):
        raise OSError(ctypes.get_errno(), "setresuid")
