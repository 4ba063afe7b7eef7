"""The simplest engine that fulfils the contract: bare processes, polled.

It shows that the contract does not describe the local engine alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Self

from gitorch.engines.contract import Ended, Order
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Outcome,
    Signalled,
    Succeeded,
    TimedOut,
)
from gitorch.tools import clock


@dataclass
class _Running:
    order: Order
    process: subprocess.Popen[bytes]
    started: str
    began: float
    cancelled: Outcome | None = None


class PlainEngine:
    poll_interval_s: float | None = 0.01
    outlives = False

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._running: dict[str, _Running] = {}
        self._known: set[str] = set()
        self._unstarted: list[Ended] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        for running in self._running.values():
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()

    def submit(self, order: Order) -> None:
        if order.token in self._known:
            return
        self._known.add(order.token)
        started, began = clock.now(), time.monotonic()
        try:
            with (order.directory / "log.txt").open("ab") as log:
                process = subprocess.Popen(
                    order.argv,
                    cwd=order.cwd,
                    env=dict(order.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            outcome = CouldNotStart(message=f"{error.filename}: {error.strerror}")
            self._unstarted.append(_ended(order, outcome, started, began))
        else:
            self._running[order.token] = _Running(order, process, started, began)

    def poll(self) -> list[Ended]:
        news, self._unstarted = self._unstarted, []
        for token, running in list(self._running.items()):
            limit = running.order.timeout_s
            if (
                limit is not None
                and time.monotonic() - running.began > limit
                and not running.cancelled
            ):
                self.cancel(token, TimedOut())
            if running.process.poll() is not None:
                del self._running[token]
                news.append(
                    _ended(
                        running.order,
                        _outcome(running),
                        running.started,
                        running.began,
                    )
                )
        return news

    def descriptors(self) -> list[int]:
        return []

    def cancel(self, token: str, outcome: Outcome) -> None:
        if (running := self._running.get(token)) and running.process.poll() is None:
            running.cancelled = running.cancelled or outcome
            os.killpg(running.process.pid, signal.SIGKILL)

    def take_over(self, *_: Any) -> bool:
        return False

    def notices(self) -> list[str]:
        return []

    def free(self) -> int:
        return self.slots - len(self._running) - len(self._unstarted)


def _outcome(running: _Running) -> Outcome:
    code = running.process.returncode
    if running.cancelled:
        return running.cancelled
    if code < 0:
        return Signalled(signal=-code)
    return ExitCode(exit_code=code) if code else Succeeded()


def _ended(order: Order, outcome: Outcome, started: str, began: float) -> Ended:
    now = time.monotonic()
    return Ended(
        token=order.token,
        outcome=outcome,
        started=started,
        ended=clock.now(),
        duration_s=now - began,
    )
