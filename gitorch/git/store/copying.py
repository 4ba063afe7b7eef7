"""Copies of large files, which are hashed on the way. Holes stay holes."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator

from msgspec import Struct

from gitorch.git.store.pointers import Pointer

_CHUNK = 8 << 20
_BLOCK = 1 << 20
_NO_REFLINK = {
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,  # some containers
    errno.EOPNOTSUPP,
    errno.EBADF,
}
_BYTES_OF_BLOCK = 512  # the unit of `st_blocks`, on every file system


class _Range(Struct, frozen=True):
    start: int
    size: int
    is_hole: bool = False


def copy_and_hash(source: int, target: int) -> Pointer:
    """Copy the file `source` to `target`, which is empty, and hash the copy.

    What is added to the source during the copy is not copied. A thread hashes each chunk while the
    next one is copied. Because the copy is hashed, digest and content agree even if the source
    changes at the same time.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  takes 3 ms, which listing does not need

    digest = hashlib.sha256()
    size = 0
    with ThreadPoolExecutor(1) as hasher:
        hashing = None
        for copied in _copied(source, target):
            if hashing:
                hashing.result()
            hashing = hasher.submit(_hash_range, digest.update, target, copied)
            size = copied.start + copied.size
        if hashing:
            hashing.result()
    os.ftruncate(target, size)  # for a hole at the end
    return Pointer(digest.hexdigest(), size)


def _copied(source: int, target: int) -> Iterator[_Range]:
    """Copy chunk by chunk, and yield the range of each chunk."""
    status = os.fstat(source)
    is_sparse = status.st_blocks * _BYTES_OF_BLOCK < status.st_size
    whole = [_Range(0, status.st_size)]
    for extent in _extents(source, status.st_size) if is_sparse else whole:
        start, end = extent.start, extent.start + extent.size
        while start < end:
            count = min(_CHUNK, end - start)
            if not extent.is_hole:
                count = _copy_chunk(source, target, start, count)
            if not count:
                return  # the source has become shorter
            yield _Range(start, count, extent.is_hole)
            start += count


def _extents(descriptor: int, size: int) -> Iterator[_Range]:
    """Yield the ranges of a file that have data, and the holes between them."""
    start = 0
    while start < size:
        try:
            data = min(os.lseek(descriptor, start, os.SEEK_DATA), size)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size  # the rest is a hole
        if data > start:
            yield _Range(start, data - start, is_hole=True)
        if data < size:
            end = min(os.lseek(descriptor, data, os.SEEK_HOLE), size)
            yield _Range(data, end - data)
            start = end
        else:
            start = size


def _copy_chunk(source: int, target: int, start: int, count: int) -> int:
    """Copy the bytes from `start` on, at most `count`, and return their number.

    The two files share blocks if the file system can do that.
    """
    try:
        return os.copy_file_range(source, target, count, start, start)
    except AttributeError:  # Python was built with glibc before 2.27
        pass
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
    os.lseek(target, start, os.SEEK_SET)
    return os.sendfile(target, source, start, count)


def _hash_range(
    update: Callable[[bytes], None], descriptor: int, copied: _Range
) -> None:
    """Feed a range of bytes that was just copied to `update`."""
    start, end = copied.start, copied.start + copied.size
    while start < end:
        count = min(end - start, _BLOCK)
        data = bytes(count)
        if not copied.is_hole:
            data = os.pread(descriptor, count, start)
        if not data:
            raise OSError(errno.EIO, "the copy has become shorter")
        update(data)
        start += len(data)
