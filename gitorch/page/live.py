"""The stream of an open page: the part of it that changes, sent anew whenever it has changed.

An event reaches an open page after at most one pause, and the time in which the part is made. The
pause is 0.1 s, or longer if the part takes long to make, so that the server leaves the processor to
the tasks: twice that time, but never more than half a second.
"""

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

from msgspec import Struct

from gitorch.storage.site import Site

_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 0.5
_LONGEST_S = 5.0  # what depends on the time alone is sent this often
_KEEP_ALIVE_S = 15.0
_MOST_PARTS = 32


class Watch:
    """Tells if anything has changed: the results, the queue, or the files of running attempts.

    One look takes 0.05 ms.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()
        self._queue: Any = None
        self._files: list[Path] = []

    def state(self) -> Any:
        """Return a value that is another one after a change."""
        queue = self._site.queue_path
        databases = (queue, queue.with_name(f"{queue.name}-wal"))
        marks = tuple(map(_mark, databases))
        with self._lock:
            if marks != self._queue:
                self._files = self._live_files()
                self._queue = marks
            files = self._files
        return self._site.results.tip(), marks, tuple(map(_mark, files))

    def _live_files(self) -> list[Path]:
        """Return the files that running attempts write."""
        if not self._site.queue_path.exists():
            return []
        queue = self._site.queue
        files = []
        for worker in queue.workers():
            for claim in queue.running_of(worker.id):
                directory = self._site.directory(claim.run)
                attempt = directory.attempt(claim.task, claim.number)
                files += [attempt.events, attempt.log, attempt.status]
        return files


class MadePart(Struct, frozen=True, kw_only=True):
    """The part of a page, the state from which it was made, and the time at which that began."""

    state: Any
    began: float
    data: bytes


class Parts:
    """The newest parts of the views that are open. Pages that show the same view share its part.

    `is_ending` tells if the server ends, which ends all streams.
    """

    def __init__(self, site: Site, is_ending: Callable[[], bool]) -> None:
        self.watch = Watch(site)
        self.is_ending = is_ending
        self._lock = Lock()
        self._locks: dict[str, Lock] = {}
        self._made: dict[str, MadePart] = {}

    def part(self, view: str, state: Any, make: Callable[[], bytes]) -> bytes:
        """Return the part of `view` in this state, made anew if need be."""
        with self._lock:
            lock = self._locks.setdefault(view, Lock())
        with lock:
            made = self._made.get(view)
            now = time.monotonic()
            if made and made.state == state and now - made.began < _LONGEST_S / 2:
                return made.data
            made = MadePart(state=state, began=now, data=_made(make))
            self._keep(view, made)
            return made.data

    def _keep(self, view: str, made: MadePart) -> None:
        with self._lock:
            self._made.pop(view, None)
            self._made[view] = made
            while len(self._made) > _MOST_PARTS:
                oldest = next(iter(self._made))
                del self._made[oldest]
                self._locks.pop(oldest, None)


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


async def stream(
    parts: Parts, view: str, make: Callable[[], bytes]
) -> AsyncIterator[bytes]:
    """Yield server-sent events: the part that `make` returns, whenever it has changed.

    `view` is the address of the view, which names the part.
    """
    state: Any = None
    sent = b""
    made_at = spoke_at = 0.0
    yield b"retry: 1000\n\n"
    while not parts.is_ending():
        pause = _PAUSE_S
        now = time.monotonic()
        current = await asyncio.to_thread(parts.watch.state)
        if current != state or now - made_at >= _LONGEST_S:
            state, made_at = current, now
            data = await asyncio.to_thread(parts.part, view, state, make)
            pause = _pause_after(time.monotonic() - now)
            digest = sha256(data).digest()
            if data and digest != sent:
                sent, spoke_at = digest, now
                yield _event(data)
        if now - spoke_at >= _KEEP_ALIVE_S:
            spoke_at = now
            yield b": still here\n\n"
        await asyncio.sleep(pause)


def _pause_after(seconds: float) -> float:
    """Return the pause after a part that took so long to make."""
    return min(max(_PAUSE_S, 2 * seconds), _LONGEST_PAUSE_S)


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
