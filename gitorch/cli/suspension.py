"""Ctrl-Z and `fg` while a block of lines is on the terminal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gitorch.cli.screen import Screen


@contextmanager
def suspendable(screen: Screen) -> Iterator[None]:
    """Leave the block readable when the program is stopped, and draw it anew when it goes on.

    A program that ignores SIGTSTP, as in a script, goes on ignoring it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_stop(number: int, _: FrameType | None) -> None:
        screen.leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # The program goes on here after `fg`.
        signal.signal(number, on_stop)

    def on_continue(_: int, __: FrameType | None) -> None:
        screen.leave()

    before = {}
    for number, handler in (
        (signal.SIGTSTP, on_stop),
        (signal.SIGCONT, on_continue),
    ):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
