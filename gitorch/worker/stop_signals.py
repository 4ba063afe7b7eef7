"""The signals that ask a worker to stop. SIGHUP is ignored: a terminal that closes ends no work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def caught(stop: Callable[[int], None], waker: int) -> Iterator[None]:
    """Call `stop` with the number of each signal, which also wakes the reader of `waker`.

    A signal that is ignored, as by `&` in a script, stays ignored.
    """

    def on_stop(number: int, _: FrameType | None) -> None:
        stop(number)

    # SIG_IGN would be inherited by the programs that this process starts.
    def ignore(_: int, __: FrameType | None) -> None:
        pass

    handlers = {
        signal.SIGINT: on_stop,
        signal.SIGTERM: on_stop,
        signal.SIGHUP: ignore,
    }
    before = {}
    for number, handler in handlers.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    woken = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, previous in before.items():
            signal.signal(number, previous)
