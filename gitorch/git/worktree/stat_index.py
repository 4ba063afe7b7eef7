"""A reader of a worktree's index file, which finds out without git that no file has changed.

The format is git's (gitformat-index): a header of 12 bytes, the entries in the order of their
paths, extensions, and a SHA-1 of everything before it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gitorch.git.modes import EXECUTABLE, FILE, LINK
from gitorch.tools.untrusted import read_plain

LARGEST_INDEX = 1 << 30  # bytes; a file takes about a hundred

_HEADER = struct.Struct(">4sII")
# The stat data of an entry: ctime, its nanoseconds, mtime, its nanoseconds, device, inode, mode,
# user, group, size. Each value is truncated to 32 bits.
_STAT = struct.Struct(">10I")
# The fields of an entry that are read: mtime, its nanoseconds, mode and size of the stat data, and
# the flags. The oid lies between the stat data and the flags, and the path follows the flags.
_ENTRY = struct.Struct(">8x2I8xI8xI20xH")
# The bits of the flags that hold the length of the path. The other bits are assume-valid, extended
# (skip-worktree, intent-to-add) and stage.
_PATH_LENGTH = 0xFFF
_SECOND = 1_000_000_000
_32_BITS = 0xFFFFFFFF
_EXECUTABLE_BIT = stat.S_IXUSR


class StatEntry(NamedTuple):
    """A tracked file.

    `offset` is the position of its stat data in the index. `size` is correct below 4 GiB only.
    """

    offset: int
    path: bytes
    mode: int
    size: int
    mtime_ns: int


class StatIndex:
    """A plain index: each file once, no flags, and no extension except the cache of trees."""

    def __init__(self, data: bytes) -> None:
        """Parse the index.

        Raises ValueError if the index is broken or not plain; the caller then asks git instead.
        """
        if not is_whole(data):
            raise ValueError("a broken index")
        self.data = data
        self.entries: list[StatEntry] = []
        signature, version, count = _HEADER.unpack_from(data)
        if (signature, version) != (b"DIRC", 2):
            raise ValueError(f"index of version {version}")
        offset = _HEADER.size
        for _ in range(count):
            seconds, nanoseconds, mode, size, flags = _ENTRY.unpack_from(
                data, offset
            )
            if flags & ~_PATH_LENGTH or mode not in (FILE, EXECUTABLE, LINK):
                raise ValueError("an entry with a flag, or of a submodule")
            start = offset + _ENTRY.size
            end = data.index(b"\0", start)
            mtime_ns = seconds * _SECOND + nanoseconds
            self.entries.append(
                StatEntry(offset, data[start:end], mode, size, mtime_ns)
            )
            # 1 to 8 NUL bytes pad the entry to a multiple of 8.
            offset = end + 8 - (end - offset) % 8
        checksum = len(data) - 20
        if offset < checksum:
            extension, size = struct.unpack_from(">4sI", data, offset)
            if extension != b"TREE" or offset + 8 + size != checksum:
                raise ValueError("an extension other than the cache of trees")

    @cached_property
    def directories(self) -> list[bytes]:
        """The directories of the tracked files, each after its parent."""
        directories: dict[bytes, None] = {}
        for entry in self.entries:
            parent, slash, _ = entry.path.rpartition(b"/")
            if not slash or parent in directories:
                continue
            end = parent.find(b"/")
            while end >= 0:
                directories.setdefault(parent[:end])
                end = parent.find(b"/", end + 1)
            directories[parent] = None
        return list(directories)

    def agrees(self, entry: StatEntry, state: os.stat_result) -> bool:
        """Return True if a file has the stat data that it had when git wrote the entry."""
        written = self.data[entry.offset : entry.offset + _STAT.size]
        return written == _stat_data(state, _git_mode(state.st_mode))

    def with_stats(self, states: Iterable[os.stat_result]) -> bytes:
        """Return the index with the stat data of other copies of its files.

        `states` are the stat data of the copies, in the order of the entries.
        """
        data = bytearray(self.data)
        for entry, state in zip(self.entries, states, strict=True):
            data[entry.offset : entry.offset + _STAT.size] = _stat_data(
                state, entry.mode
            )
        data[-20:] = hashlib.sha1(data[:-20], usedforsecurity=False).digest()
        return bytes(data)


def is_whole(data: bytes) -> bool:
    """Return True if the checksum at the end is right.

    git does not flush the index to disk, so a power cut can leave an empty one.
    """
    return hashlib.sha1(data[:-20], usedforsecurity=False).digest() == data[-20:]


def _stat_data(state: os.stat_result, mode: int) -> bytes:
    ctime, mtime = state.st_ctime_ns, state.st_mtime_ns
    return _STAT.pack(
        ctime // _SECOND & _32_BITS,
        ctime % _SECOND,
        mtime // _SECOND & _32_BITS,
        mtime % _SECOND,
        state.st_dev & _32_BITS,
        state.st_ino & _32_BITS,
        mode,
        state.st_uid & _32_BITS,
        state.st_gid & _32_BITS,
        state.st_size & _32_BITS,
    )


def untouched(root: Path, index_file: Path) -> StatIndex | None:
    """Return the index if each of its files is certainly as it was when the index was written.

    No file is read. None can also mean that the stat data are not conclusive.
    """
    try:
        written = index_file.stat().st_mtime_ns
        index = StatIndex(read_plain(index_file, LARGEST_INDEX))
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, ValueError, struct.error):
        return None
    try:
        for directory in index.directories:
            # A symlink that has replaced the directory could lead to the same files elsewhere.
            if not stat.S_ISDIR(os.lstat(directory, dir_fd=top).st_mode):
                return None
        for entry in index.entries:
            state = os.lstat(entry.path, dir_fd=top)
            if not index.agrees(entry, state):
                return None
            if _is_racy(state.st_mtime_ns, written):
                return None
    except OSError:
        return None
    finally:
        os.close(top)
    return index


def sizes_in(index_file: Path) -> dict[bytes, int]:
    """Return the sizes that the files of an index had. Return none if the index is not plain."""
    try:
        index = StatIndex(read_plain(index_file, LARGEST_INDEX))
    except (OSError, ValueError, struct.error):
        return {}
    return {entry.path: entry.size for entry in index.entries}


def _is_racy(changed: int, written: int) -> bool:
    """Return True if a file could have changed after `written` and still have this time."""
    if changed % _SECOND == 0:  # a file system that counts seconds
        written -= written % _SECOND
    return changed >= written


def _git_mode(mode: int) -> int:
    """Return the mode that git records for a file of this type and with these permissions."""
    if stat.S_ISREG(mode):
        return EXECUTABLE if mode & _EXECUTABLE_BIT else FILE
    if stat.S_ISLNK(mode):
        return LINK
    return mode
