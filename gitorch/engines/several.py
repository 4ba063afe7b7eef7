"""Several engines that one worker uses as one: each order names its engine.

An engine is started when it gets its first order. If all its slots are taken, the order waits here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from gitorch.engines.contract import Ended, Engine, Order
from gitorch.model.run.outcome import Outcome


class Engines:
    """The engines of a worker. `slots` is the number of orders that they execute together."""

    outlives = False

    def __init__(
        self, slots: int, default: str | None, make: Callable[[str], Engine]
    ) -> None:
        """`make` returns the engine with a name.

        The engine `default` starts when the context is entered, if there is one.
        """
        self.slots = slots
        self._default = default
        self._make = make
        self._stack = ExitStack()
        self._engines: dict[str, Engine] = {}
        self._of: dict[
            str, Engine
        ] = {}  # by token, of the attempts that have not ended
        self._waiting: deque[Order] = deque()
        self._cancelled: list[Ended] = []

    def __enter__(self) -> Self:
        if self._default is not None:
            self.named(self._default)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Leave the engines that have started. A second call has no effect."""
        self._stack.close()

    def named(self, name: str) -> Engine:
        """Return the engine with a name, started. Raises GitorchError if it cannot be used here."""
        engine = self._engines.get(name)
        if engine is None:
            engine = self._stack.enter_context(self._make(name))
            self._engines[name] = engine
        return engine

    def continues(self, name: str) -> bool:
        """Return True if the attempts of an engine continue when this worker ends."""
        engine = self._engines.get(name)
        return engine is not None and engine.outlives

    @property
    def poll_interval_s(self) -> float | None:
        intervals = [
            engine.poll_interval_s
            for engine in self._engines.values()
            if engine.poll_interval_s is not None
        ]
        return min(intervals, default=None)

    def submit(self, order: Order) -> None:
        engine = self.named(order.engine)
        self._of[order.token] = engine
        if engine.free() > 0:
            engine.submit(order)
        else:
            self._waiting.append(order)

    def poll(self) -> list[Ended]:
        ends, self._cancelled = self._cancelled, []
        for engine in self._engines.values():
            ends += engine.poll()
        for ended in ends:
            self._of.pop(ended.token, None)
        if self._waiting:
            self._submit_waiting()
        return ends

    def descriptors(self) -> list[int]:
        descriptors = []
        for engine in self._engines.values():
            descriptors += engine.descriptors()
        return descriptors

    def cancel(self, token: str, outcome: Outcome) -> None:
        for order in self._waiting:
            if order.token == token:
                self._waiting.remove(order)
                self._cancelled.append(Ended.unrecorded(token, outcome))
                return
        engine = self._of.get(token)
        if engine is not None:
            engine.cancel(token, outcome)

    def take_over(self, token: str, directory: Path, name: str) -> bool:
        """Continue with an attempt that the engine `name` of an earlier worker has submitted."""
        engine = self.named(name)
        if not engine.take_over(token, directory):
            return False
        self._of[token] = engine
        return True

    def notices(self) -> list[str]:
        notices = []
        for engine in self._engines.values():
            notices += engine.notices()
        return notices

    def free(self) -> int:
        return max(0, self.slots - len(self._of))

    def _submit_waiting(self) -> None:
        for order in list(self._waiting):
            engine = self._of[order.token]
            if engine.free() > 0:
                self._waiting.remove(order)
                engine.submit(order)
