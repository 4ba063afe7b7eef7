"""Files that a task or another person may have made, opened without trust in what they are.

Anything may be in the place of such a file: a pipe, for which `open` would wait for ever; a device
without end; a link to a file that does not belong there; a file that another process enlarges while
it is read. The functions accept regular files only, and read no more than the size at the time of
opening, or a limit. The errors are of the class OSError, so that callers treat them like files that
cannot be read.

Standard library only, since the program that carries out an order elsewhere reads files of tasks.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple

# O_NONBLOCK: the opening of a pipe does not wait for a writer. It has no effect on a regular file.
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FIND = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BY_LINK = {errno.ELOOP, errno.ENOTDIR}
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}


class Unacceptable(OSError):
    """A file of the wrong type, in the wrong place or of the wrong size; `strerror` says which."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class Line(NamedTuple):
    """A line of a file with its line end. `data` is empty if the line was too long."""

    data: bytes
    is_too_long: bool = False


def open_plain(path: Path, *, below: Path | None = None) -> int:
    """Open the regular file at `path` for reading, and return its descriptor.

    With `below`, which is a directory above the file, no link that leads out of this directory is
    followed. Without it, links are followed. Raises Unacceptable, OSError.
    """
    try:
        descriptor = _open_below(below, path)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _wrong_kind(path, "a socket") from error
        raise
    return _plain(descriptor, path)


class PlainFiles:
    """Opens the files below a directory as `open_plain` does.

    The directory of the last file stays open until `close`: files are mostly read directory by
    directory, and the way to a small file takes longer than to read it.
    """

    def __init__(self, below: Path) -> None:
        self._below = below
        self._parent = ""
        self._descriptor = -1

    def open(self, path: Path) -> int:
        """Return the descriptor of the regular file at `path`. Raises Unacceptable, OSError."""
        parent, name = os.path.split(path)
        try:
            if parent != self._parent:
                self._enter(parent)
            descriptor = os.open(
                name, _OPEN | os.O_NOFOLLOW, dir_fd=self._descriptor
            )
        except OSError:
            # There may be a link on the way. Otherwise this raises the same error.
            return open_plain(path, below=self._below)
        return _plain(descriptor, path)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._parent = ""
        self._descriptor = -1

    def _enter(self, parent: str) -> None:
        self.close()
        names = Path(parent).relative_to(self._below).parts
        self._descriptor = _directory(self._below, names)
        self._parent = parent


def read_plain(path: Path, limit: int, *, below: Path | None = None) -> bytes:
    """Return the content of the regular file at `path`, which has at most `limit` bytes.

    `below` is as for `open_plain`. Raises Unacceptable, OSError.
    """
    descriptor = open_plain(path, below=below)
    try:
        size = os.fstat(descriptor).st_size
        # One byte more than the size: a second `read` would be needed to see the end of the file.
        data = b""
        if size <= limit:
            data = read_up_to(descriptor, min(size, limit) + 1, size)
        if size > limit or len(data) > limit:
            raise Unacceptable(
                errno.EFBIG,
                f"it has {in_mebibytes(max(size, len(data)))}, "
                f"and at most {in_mebibytes(limit)} are read",
                str(path),
            )
        return data
    finally:
        os.close(descriptor)


def read_up_to(descriptor: int, limit: int, size: int) -> bytes:
    """Return up to `limit` bytes from the start. The position of the descriptor does not move.

    `size` is that of the file, which may grow meanwhile. A request allocates all that it asks for,
    so none asks for much more than the file has.
    """
    data = os.pread(descriptor, min(limit, size + 1), 0)
    while data and len(data) < limit:
        wanted = size + 1 if len(data) <= size else limit
        more = os.pread(descriptor, min(wanted, limit) - len(data), len(data))
        if not more:
            break
        data += more
    return data


def open_file(path: Path, *, below: Path | None = None) -> BufferedReader:
    """Open the regular file at `path` as `open(path, "rb")` does. Raises Unacceptable, OSError."""
    return open(open_plain(path, below=below), "rb")


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the content of a file in blocks of up to `size` bytes.

    What is added to the file after the first block was requested is not read.
    """
    left = os.fstat(file.fileno()).st_size - file.tell()
    while left > 0 and (block := file.read(min(size, left))):
        left -= len(block)
        yield block


def lines(file: BinaryIO, longest: int) -> Iterator[Line]:
    """Yield the lines of a file. The content of a line with more than `longest` bytes is skipped.

    What is added to the file after the first line was requested is not read.
    """
    left = os.fstat(file.fileno()).st_size - file.tell()
    is_inside = False  # a long line
    while left > 0 and (piece := file.readline(min(longest, left))):
        left -= len(piece)
        is_end = piece.endswith(b"\n") or left <= 0
        if not is_end and len(piece) == longest:
            is_inside = True
        elif is_inside:
            is_inside = False
            yield Line(b"", is_too_long=True)
        else:
            yield Line(piece)


def in_mebibytes(size: int) -> str:
    """Return a size in words, with one decimal place."""
    return f"{size / (1 << 20):.1f} MiB"


def reason(error: OSError) -> str:
    """Return what is wrong with a file, without its path."""
    return error.strerror or str(error)


def _open_below(below: Path | None, path: Path) -> int:
    if below is None:
        return os.open(path, _OPEN)
    descriptor = _open_without_links(path)
    if descriptor is not None:
        return descriptor
    try:
        return _walk(below, path.relative_to(below).parts)
    except OSError as error:
        if error.errno not in _BY_LINK:
            raise
    # There is a link on the way, which may lead to another place below the directory.
    top = Path(os.path.realpath(below))
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(top):
        raise Unacceptable(
            errno.ELOOP, f"a link that leads out of {below}", str(path)
        )
    return _walk(top, target.relative_to(top).parts)


def _open_without_links(path: Path) -> int | None:
    """Open the regular file at `path` if there is no link on the way, as is usual.

    The file is found first, which neither opens nor changes anything. The system then says where it
    is: if that is `path`, no link was followed. This takes a third of the time of `_walk`. Raises
    OSError if nothing is there.
    """
    found = os.open(path, _FIND)
    try:
        place = f"/proc/self/fd/{found}"
        with suppress(OSError):
            is_regular = stat.S_ISREG(os.fstat(found).st_mode)
            if is_regular and os.readlink(place) == os.fspath(path):  # noqa: PTH115
                return os.open(place, _OPEN)
    finally:
        os.close(found)
    return None


def _walk(top: Path, names: tuple[str, ...]) -> int:
    """Open the file that is at `names` below `top`, without following a link."""
    directory = _directory(top, names[:-1])
    try:
        return os.open(names[-1], _OPEN | os.O_NOFOLLOW, dir_fd=directory)
    finally:
        os.close(directory)


def _directory(top: Path, names: tuple[str, ...]) -> int:
    """Open the directory that is at `names` below `top`, without following a link."""
    directory = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        try:
            inner = os.open(name, _ENTER, dir_fd=directory)
        finally:
            os.close(directory)
        directory = inner
    return directory


def _plain(descriptor: int, path: Path) -> int:
    """Return the descriptor, or close it and raise Unacceptable if the file is not regular."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise _wrong_kind(path, _KINDS.get(stat.S_IFMT(mode), "something special"))


def _wrong_kind(path: Path, kind: str) -> Unacceptable:
    return Unacceptable(errno.EINVAL, f"not a file, but {kind}", str(path))
