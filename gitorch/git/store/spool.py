"""Small files that wait for their commit: packed already, in an unnamed file instead of in memory.

The unnamed file vanishes when nothing refers to it any more, even if the process is killed.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from gitorch.git.store.pack import ObjectType, PackedObject, packed_object

_IN_MEMORY = 4 << 20  # bytes


class _UnnamedFile:
    """A file that exists as long as this object."""

    def __init__(self, directory: Path) -> None:
        import tempfile  # noqa: PLC0415  takes 2 ms, and is seldom needed

        with tempfile.TemporaryFile(dir=directory) as file:
            self.descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        os.close(self.descriptor)


class SpooledBlob(Struct, frozen=True):
    """A blob in a spool. `start` and `length` are its place, in bytes."""

    file: _UnnamedFile
    oid: bytes
    start: int
    length: int

    def packed(self) -> PackedObject:
        """Return the blob as a pack has it."""
        data = os.pread(self.file.descriptor, self.length, self.start)
        return PackedObject(ObjectType.BLOB, self.oid, data)


class Spool:
    """The small files of one attempt. The first ones stay in memory, which is faster."""

    def __init__(self, directory: Path) -> None:
        """`directory` is on the file system of the packs."""
        self._directory = directory
        self._in_memory = 0
        self._end = 0  # of the unnamed file

    @property
    def size(self) -> int:
        """Return the number of bytes that a commit has to write."""
        return self._in_memory + self._end

    def put(self, data: bytes) -> bytes | SpooledBlob:
        """Return the data, or its place in the spool if enough is in memory. Raises OSError."""
        if self._in_memory + len(data) <= _IN_MEMORY:
            self._in_memory += len(data)
            return data
        blob = packed_object(ObjectType.BLOB, data)
        left = memoryview(blob.data)
        while left:
            left = left[os.write(self._file.descriptor, left) :]
        start = self._end
        self._end += len(blob.data)
        return SpooledBlob(self._file, blob.oid, start, len(blob.data))

    @cached_property
    def _file(self) -> _UnnamedFile:
        return _UnnamedFile(self._directory)
