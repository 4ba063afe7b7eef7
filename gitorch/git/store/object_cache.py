"""Recently written objects, by their oids: the next change of the branch reads most of them again.

If libgit2 read these objects, it would open the pack of every change and keep the pack open.
"""

from __future__ import annotations

import threading

_CAPACITY = 4 << 20  # bytes


class ObjectCache:
    """The newest few megabytes of objects.

    Any thread may use the cache: the object of an oid never changes.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._objects: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def get(self, oid: bytes) -> bytes | None:
        return self._objects.get(oid)

    def put(self, oid: bytes, data: bytes) -> None:
        with self._lock:
            former = self._objects.pop(oid, b"")
            self._objects[oid] = data
            self._size += len(data) - len(former)
            while self._size > self._capacity:
                oldest = next(iter(self._objects))
                self._size -= len(self._objects.pop(oldest))
