"""Files that are either complete or missing, and their removal."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from gitorch.tools.faults import boundary
from gitorch.tools.private import change_mode

_SMALL = 64 << 10


def read_small(path: Path) -> bytes:
    """Return the content of a file of at most 64 KiB.

    This needs a third of the system calls of `Path.read_bytes`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _SMALL)
    finally:
        os.close(descriptor)


def write_aside(
    path: Path, data: bytes, *, durable: bool = False, mode: int = 0o666
) -> None:
    """Write `data` to a file beside `path`, then rename that file to `path`.

    With `durable`, the file survives a power cut after this function has returned. If it raises
    OSError, a file that was at `path` before is unchanged.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(aside, flags, mode), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
                boundary()
        aside.replace(path)
        boundary()
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush the directory to disk, so that new and renamed files in it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
        boundary()
    finally:
        os.close(descriptor)


def delete(path: Path) -> None:
    """Remove a file, or a directory with everything in it, as far as that is possible.

    Directories without write permission are made writable first. Several processes may do this at
    the same time.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    with suppress(OSError):
        _make_writable(path)
    shutil.rmtree(path, ignore_errors=True)


def _make_writable(top: Path) -> None:
    """Make a directory and all directories in it writable. Links are not followed."""
    change_mode(top, 0o700)
    for directory, names, _ in os.walk(top):
        for name in names:
            with suppress(NotADirectoryError):
                change_mode(Path(directory, name), 0o700)
