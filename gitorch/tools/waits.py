"""Waits for other processes. A wait says after a while what it waits for, and can be interrupted.

Signals end a wait of the main thread, since their handlers raise. A worker only counts signals and
has several threads, so it calls `request_stop`, which ends the waits of all threads. Standard
library only, since the slots use this module too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from gitorch.errors import UserInterrupted

SAID_AFTER_S = 3.0
# What would be finished soon is finished, although the user has asked to stop.
GRACE_S = 3.0
_SHORTEST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.02


class _State:
    """What holds for all waits of this process."""

    listener: Callable[[str], None] | None = None
    stop_requested: float = math.inf  # on the monotonic clock


def listen(listener: Callable[[str], None] | None) -> None:
    """Call `listener` with a sentence for each wait that takes long."""
    _State.listener = listener


def request_stop() -> None:
    """End the waits of this process that take longer than GRACE_S from now."""
    _State.stop_requested = min(_State.stop_requested, time.monotonic())


def forget_stop() -> None:
    """Let the waits that begin from now on take their time."""
    _State.stop_requested = math.inf


class Wait:
    """One wait. Call `pause` between two looks at what is waited for."""

    def __init__(
        self,
        awaited: str,
        *,
        bound_s: float = math.inf,
        describe: Callable[[], str] = str,
    ) -> None:
        """`awaited` completes "waiting for"; `describe` returns what is known about it later."""
        self._awaited = awaited
        self._describe = describe
        self._began = time.monotonic()
        self._bound_s = bound_s
        self._pause_s = _SHORTEST_PAUSE_S
        self._was_said = False

    @property
    def remaining_s(self) -> float:
        """The seconds until the bound."""
        return max(0.0, self._began + self._bound_s - time.monotonic())

    def pause(self) -> bool:
        """Sleep for a moment. Return False, without sleep, if the bound is reached.

        Raises UserInterrupted if the user has asked to stop.
        """
        self.check()
        remaining_s = self.remaining_s
        if not remaining_s:
            return False
        time.sleep(min(self._pause_s, remaining_s))
        self._pause_s = min(self._pause_s * 1.5, _LONGEST_PAUSE_S)
        return True

    def check(self) -> None:
        """Say what is waited for, if the wait takes long.

        Raises UserInterrupted if the user has asked to stop.
        """
        now = time.monotonic()
        if now > _State.stop_requested + GRACE_S:
            raise UserInterrupted(f"interrupted while waiting for {self._awaited}")
        if self._was_said or now < self._began + SAID_AFTER_S:
            return
        self._was_said = True
        if _State.listener is not None:
            _State.listener(f"waiting for {self._awaited}{self._describe()}")
