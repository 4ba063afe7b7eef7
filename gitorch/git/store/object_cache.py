"""Objects that were written lately, by their oids: the next change of the branch reads most of them again.

Left to libgit2 that would open, and keep open, the pack of every change.
"""

from __future__ import annotations

import threading

_MOST = 4 << 20  # bytes


class ObjectCache:
    """The newest few megabytes. For any thread: what an oid stands for never changes."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._objects: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def get(self, oid: bytes) -> bytes | None:
        return self._objects.get(oid)

    def put(self, oid: bytes, data: bytes) -> None:
        with self._lock:
            self._size += len(data) - len(self._objects.pop(oid, b""))
            self._objects[oid] = data
            while self._size > self._most:
                self._size -= len(self._objects.pop(next(iter(self._objects))))
