"""The end of a child process and signals to it, with descriptors of processes and without."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gitorch.tools import pidfd
from gitorch.tools.process import process_of, send
from tests.conftest import wait_for


def without_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.delattr(signal, "pidfd_send_signal")


def without_system_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pidfd_open", failing(errno.ENOSYS))


def denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pidfd_open", failing(errno.EPERM))


def failing(number: int) -> Callable[[int], int]:
    def fail(pid: int) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture(params=[None, without_attribute, without_system_call, denied])
def _system(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param is not None:
        request.param(monkeypatch)


@pytest.mark.usefixtures("_system")
def test_the_end_of_a_child_is_seen_at_once_and_the_child_stays_to_be_reaped() -> (
    None
):
    child = subprocess.Popen(["sleep", "0.2"])
    with pidfd.end_of(child.pid) as end:
        assert select.select([end], [], [], 0)[0] == []
        began = time.monotonic()
        assert select.select([end], [], [], 10)[0] == [end]
        assert time.monotonic() - began < 5
        assert child.returncode is None
        assert child.wait() == 0


@pytest.mark.usefixtures("_system")
def test_an_end_before_the_wait_is_seen_too() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pidfd.end_of(child.pid) as end:
        assert select.select([end], [], [], 10)[0] == [end]
    assert child.wait() == 0


def held() -> set[str]:
    """Return the open pipes and descriptors of processes, and the threads."""
    found = {thread.name for thread in threading.enumerate()}
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(f"{descriptor.name} {descriptor.readlink()}")
    return found


@pytest.mark.usefixtures("_system")
def test_nothing_is_left_when_the_wait_is_given_up() -> None:
    before = held()
    child = subprocess.Popen(["sleep", "600"])
    with pidfd.end_of(child.pid):
        pass
    child.kill()
    child.wait()
    wait_for(lambda: held() <= before)


@pytest.mark.usefixtures("_system")
def test_a_signal_reaches_the_process_and_no_other() -> None:
    child = subprocess.Popen(["sleep", "600"])
    known = process_of(child.pid)
    assert known is not None
    earlier = type(known)(known.pid, known.start - 1, known.parent)
    assert send(earlier, signal.SIGKILL)
    assert child.poll() is None
    assert send(known, signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM
    assert send(known, signal.SIGTERM), "it has ended"
