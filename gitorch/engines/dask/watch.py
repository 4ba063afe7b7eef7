"""A thread for each worker of Dask, which asks for news of all attempts there with one call."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from gitorch.engines.dask.cluster import Cluster, DaskWorker
from gitorch.errors import GitorchError

PART = 4 << 20  # bytes of one answer about one file
# The files that grow while an attempt runs.
GROWING = ("log.txt", "events.jsonl")
# Between two calls: after news, and at most.
_SOON_S = 0.2
_LATE_S = 1.0


class Watched:
    """An attempt that is executed: its directory here and on the host.

    If the host shares the file system, `there` is None, and nothing needs to be fetched. When the
    host cannot be asked any more, `failure` says why, and `woken` is set.
    """

    def __init__(
        self, token: str, here: Path, there: str | None, woken: threading.Event
    ) -> None:
        self.token = token
        self.here = here
        self.there = there
        self._woken = woken
        self.failure: GitorchError | None = None
        self._lock = threading.Lock()
        self._is_over = False

    def request(self) -> tuple[str, str, dict[str, int]]:
        """Return the token, the directory on the host, and what is here of the files that grow."""
        if self.there is None:
            return self.token, "", {}
        sizes = {name: size_of(self.here / name) for name in GROWING}
        return self.token, self.there, sizes

    def add(self, sizes: Mapping[str, int], added: Mapping[str, bytes]) -> bool:
        """Add what is new to the files. Return True if there was anything."""
        with self._lock:
            for name, data in added.items():
                if data and not self._is_over:
                    append(self.here / name, sizes[name], data)
        return any(added.values())

    def stop(self) -> None:
        """Write no more files."""
        with self._lock:
            self._is_over = True

    def fail(self, failure: GitorchError) -> None:
        self.failure = failure
        self._woken.set()


class WorkerWatch:
    """The watch over the attempts on one worker."""

    def __init__(self, cluster: Cluster, worker: DaskWorker) -> None:
        self._cluster = cluster
        self._worker = worker
        self._changed = threading.Condition()
        self._attempts: dict[str, Watched] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, attempt: Watched) -> None:
        with self._changed:
            self._attempts[attempt.token] = attempt
            self._changed.notify_all()

    def remove(self, attempt: Watched) -> None:
        """Stop watching an attempt. Its files are not written when this returns."""
        with self._changed:
            self._attempts.pop(attempt.token, None)
        attempt.stop()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        longest_s = min(_LATE_S, self._cluster.lease_s / 6)
        shortest_s = min(_SOON_S, longest_s)
        pause_s = shortest_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._attempts or self._is_closed)
                self._changed.wait_for(lambda: self._is_closed, pause_s)
                if self._is_closed:
                    return
                attempts = list(self._attempts.values())
            pause_s = min(1.5 * pause_s, longest_s)
            if attempts and self._fetch(attempts):
                pause_s = shortest_s

    def _fetch(self, attempts: Sequence[Watched]) -> bool:
        """Fetch what is new, and show that somebody cares. Return True if there is news."""
        requests = [attempt.request() for attempt in attempts]
        try:
            news = self._cluster.ask(self._worker, "news", requests, PART)
        except GitorchError as error:
            for attempt in attempts:
                self.remove(attempt)
                attempt.fail(error)
            return False
        has_news = False
        for attempt, (token, _, sizes) in zip(attempts, requests, strict=True):
            try:
                has_news |= attempt.add(sizes, news[token])
            except OSError as error:
                self.remove(attempt)
                attempt.fail(GitorchError(str(error)))
        return has_news


def append(path: Path, size: int, data: bytes) -> None:
    """Write data at the end of a file that has this size."""
    with opened(path, 0) as file:
        file.seek(size)
        file.write(data)


def opened(path: Path, flags: int) -> IO[bytes]:
    """Open a file for writing that a host has sent, and that no task can have replaced."""
    whole = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, whole | flags, 0o600), "wb")


def size_of(path: Path) -> int:
    return path.lstat().st_size if os.path.lexists(path) else 0
