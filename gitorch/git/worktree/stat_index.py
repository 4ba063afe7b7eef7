"""The index file of a worktree, as far as it is needed to tell without git that nothing has changed.

The format is git's (gitformat-index): 12 bytes of header, entries in the order of their paths, extensions, SHA-1.
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

FILE, EXECUTABLE, SYMLINK = 0o100644, 0o100755, 0o120000

_HEADER = struct.Struct(">4sII")
# ctime, its nanoseconds, mtime, its nanoseconds, device, inode, mode, user, group, size; all cut to 32 bits
_STAT = struct.Struct(">10I")
_ENTRY = struct.Struct(
    ">8x2I8xI8xI20xH"
)  # of these: mtime, mode, size; then the oid, and the flags before the path
_PATH_LENGTH = (
    0xFFF  # the rest of the flags: assume-valid, extended (skip-worktree, intent-to-add), stage
)
_SECOND = 1_000_000_000
_32_BITS = 0xFFFFFFFF


class StatEntry(NamedTuple):
    """A tracked file. `offset` is where its stat data lies in the index; `size` is right below 4 GiB."""

    offset: int
    path: bytes
    mode: int
    size: int
    mtime_ns: int


class StatIndex:
    """A plain index: each file once, no flags, nothing but a cache of trees behind the entries."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError if it is anything else, so that whoever asks leaves the matter to git."""
        if not is_whole(data):
            raise ValueError("a broken index")
        self.data = data
        self.entries: list[StatEntry] = []
        signature, version, count = _HEADER.unpack_from(data)
        if (signature, version) != (b"DIRC", 2):
            raise ValueError(f"index of version {version}")
        offset = _HEADER.size
        for _ in range(count):
            seconds, nanoseconds, mode, size, flags = _ENTRY.unpack_from(data, offset)
            if flags & ~_PATH_LENGTH or mode not in (FILE, EXECUTABLE, SYMLINK):
                raise ValueError("an entry with a flag, or of a submodule")
            start = offset + _ENTRY.size
            end = data.index(b"\0", start)
            self.entries.append(
                StatEntry(offset, data[start:end], mode, size, seconds * _SECOND + nanoseconds)
            )
            offset = end + 8 - (end - offset) % 8
        if offset < len(data) - 20:
            extension, size = struct.unpack_from(">4sI", data, offset)
            if extension != b"TREE" or offset + 8 + size != len(data) - 20:
                raise ValueError("an extension other than the cache of trees")

    @cached_property
    def directories(self) -> list[bytes]:
        """The directories of the tracked files, each after its parent."""
        found: dict[bytes, None] = {}
        for entry in self.entries:
            parent, slash, _ = entry.path.rpartition(b"/")
            if slash and parent not in found:
                at = parent.find(b"/")
                while at >= 0:
                    found.setdefault(parent[:at])
                    at = parent.find(b"/", at + 1)
                found[parent] = None
        return list(found)

    def agrees(self, entry: StatEntry, state: os.stat_result) -> bool:
        """Whether a file is still the one that git looked at when it wrote the entry."""
        return self.data[entry.offset : entry.offset + _STAT.size] == _stat_data(
            state, _git_mode(state.st_mode)
        )

    def with_stats(self, states: Iterable[os.stat_result]) -> bytes:
        """The same index for other copies of its files, whose states are given in the order of the entries."""
        data = bytearray(self.data)
        for entry, state in zip(self.entries, states, strict=True):
            data[entry.offset : entry.offset + _STAT.size] = _stat_data(state, entry.mode)
        data[-20:] = hashlib.sha1(data[:-20], usedforsecurity=False).digest()
        return bytes(data)


def is_whole(data: bytes) -> bool:
    """Whether the checksum at the end is right: git flushes nothing, so a power cut can leave an empty index."""
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
    """The index if every file of it is surely as it was when the index was written; no file is read.

    None may also mean that it cannot be told from here.
    """
    try:
        written = index_file.stat().st_mtime_ns
        index = StatIndex(index_file.read_bytes())
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, ValueError, struct.error):
        return None
    try:
        for (
            directory
        ) in index.directories:  # a symlink in its place could lead to the same files, elsewhere
            if not stat.S_ISDIR(os.lstat(directory, dir_fd=top).st_mode):
                return None
        for entry in index.entries:
            state = os.lstat(entry.path, dir_fd=top)
            if not index.agrees(entry, state) or _is_racy(state.st_mtime_ns, written):
                return None
    except OSError:
        return None
    finally:
        os.close(top)
    return index


def _is_racy(changed: int, written: int) -> bool:
    """Whether a file could have been changed again after the index was written without its time showing it."""
    if changed % _SECOND == 0:  # a file system that counts seconds
        written -= written % _SECOND
    return changed >= written


def _git_mode(mode: int) -> int:
    if stat.S_ISREG(mode):
        return EXECUTABLE if mode & 0o100 else FILE
    return SYMLINK if stat.S_ISLNK(mode) else mode
