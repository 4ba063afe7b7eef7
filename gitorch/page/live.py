"""The stream of an open page: the part of it that changes, sent anew whenever it has changed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from gitorch.database.values import Running
from gitorch.storage.site import Site

_PAUSE_S = 0.25  # an event reaches an open page within a second
_LONGEST_S = 5.0  # what depends on the time alone is sent this often
_KEEP_ALIVE_S = 15.0


class Watch:
    """Tells if anything has changed: the results, the queue, or the files of running attempts.

    All open pages share one watch, which looks at most every `_PAUSE_S`.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()
        self._looked = 0.0
        self._state: Any = None
        self._queue: Any = None
        self._files: list[Path] = []

    def state(self) -> Any:
        """Return a value that is another one after a change."""
        with self._lock:
            moment = time.monotonic()
            if moment - self._looked >= _PAUSE_S * 0.8:
                self._state = self._look()
                self._looked = moment
            return self._state

    def _look(self) -> Any:
        queue = self._site.queue_path
        databases = (queue, queue.with_name(f"{queue.name}-wal"))
        marks = tuple(map(_mark, databases))
        if marks != self._queue:
            self._queue = marks
            self._files = self._live_files()
        return self._site.results.tip(), marks, tuple(map(_mark, self._files))

    def _live_files(self) -> list[Path]:
        """Return the files that running attempts write."""
        if not self._site.queue_path.exists():
            return []
        files = []
        for run in self._site.queue.runs():
            for task in run.tasks:
                if isinstance(task.state, Running):
                    directory = self._site.directory(task.run)
                    attempt = directory.attempt(task.id, task.attempts)
                    files += [attempt.events, attempt.log, attempt.status]
        return files


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


async def stream(watch: Watch, make: Callable[[], bytes]) -> AsyncIterator[bytes]:
    """Yield server-sent events: the fragment that `make` returns, whenever it has changed."""
    state: Any = None
    sent = b""
    made_at = spoke_at = 0.0
    yield b"retry: 1000\n\n"
    while True:
        now = time.monotonic()
        current = await asyncio.to_thread(watch.state)
        if current != state or now - made_at >= _LONGEST_S:
            state, made_at = current, now
            data = await asyncio.to_thread(_made, make)
            digest = sha256(data).digest()
            if data and digest != sent:
                sent, spoke_at = digest, now
                yield _event(data)
        if now - spoke_at >= _KEEP_ALIVE_S:
            spoke_at = now
            yield b": still here\n\n"
        await asyncio.sleep(_PAUSE_S)


def _made(make: Callable[[], bytes]) -> bytes:
    """Return the fragment, or nothing if it cannot be made now."""
    try:
        return make()
    except (
        Exception
    ):  # the page keeps what it shows, and the next change may repair it
        return b""


def _event(data: bytes) -> bytes:
    text = json.dumps(data.decode("utf-8", "replace"))
    return f"event: part\ndata: {text}\n\n".encode()
