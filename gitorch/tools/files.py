"""Files that are either complete or missing, and their removal."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from gitorch.tools.faults import boundary
from gitorch.tools.private import change_mode
from gitorch.tools.random_names import random_hex

_SMALL = 64 << 10
_FIND = os.O_PATH | os.O_CLOEXEC
_GONE = " (deleted)"  # the system adds this to the path of a file that was deleted
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LEVELS = 100_000


def resolved(path: Path) -> Path:
    """Return the absolute path without symbolic links. A link that leads to itself stays.

    `Path.resolve` raises RuntimeError for such a link up to Python 3.12.
    """
    return Path(real_path(path))


def real_path(path: Path | str) -> str:
    """Return the same as `os.path.realpath`, faster if something is at the path.

    The system then follows the links, in three calls. `os.path.realpath` examines each directory on
    the way, which takes three times as long with seven directories.
    """
    real = _path_in_system(path)
    if real is None or not real.startswith("/") or real.endswith(_GONE):
        return os.path.realpath(path)
    return real


def _path_in_system(path: Path | str) -> str | None:
    """Return where the system has found `path`, or None. See proc_pid_fd(5)."""
    try:
        found = os.open(path, _FIND)
    except OSError:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{found}")  # noqa: PTH115  asked often
    except OSError:  # there is no /proc
        return None
    finally:
        os.close(found)


def read_small(path: Path | str) -> bytes:
    """Return the content of a file of at most 64 KiB.

    This needs a third of the system calls of `Path.read_bytes`.
    """
    # O_NONBLOCK: if a task has put a pipe there, opening and reading it must not wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(descriptor, _SMALL)
    finally:
        os.close(descriptor)


def write_small(path: Path, data: bytes) -> None:
    """Write a file that nobody reads before this function has returned.

    This needs fewer system calls than `Path.write_bytes`. Raises OSError if the disk is full.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def write_aside(
    path: Path, data: bytes, *, durable: bool = False, mode: int = 0o666
) -> None:
    """Write `data` to a file beside `path`, then rename that file to `path`.

    With `durable`, the file survives a power cut after this function has returned. If it raises
    OSError, a file that was at `path` before is unchanged.
    """
    aside = path.with_name(f".{path.name}.{random_hex(4)}")
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


def write_over(path: Path, data: bytes) -> None:
    """Do as `write_aside` does, in a place where a task may have made a directory."""
    try:
        write_aside(path, data)
    except IsADirectoryError:
        delete(path)
        write_aside(path, data)


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
        is_directory = stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    if not is_directory:
        path.unlink(missing_ok=True)
        return
    with suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        with suppress(OSError):
            _delete_by_levels(path)


def _delete_by_levels(top: Path) -> None:
    """Delete a directory that `rmtree` cannot delete: it is very deep, or may not be changed.

    Each round removes the highest level, and moves what is below it up.
    """
    change_mode(top, 0o700)
    descriptor = os.open(top, _ENTER)
    try:
        for _ in range(_MOST_LEVELS):
            names = os.listdir(descriptor)  # noqa: PTH208
            if not names:
                break
            for name in names:
                with suppress(FileNotFoundError):  # another process deletes it, too
                    _remove_or_raise(name, descriptor)
    finally:
        os.close(descriptor)
    top.rmdir()


def _remove_or_raise(name: str, parent: int) -> None:
    """Remove an entry of a directory. Move the directories in it up into the parent."""
    if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    change_mode(name, 0o700, dir_fd=parent)
    directory = os.open(name, _ENTER, dir_fd=parent)
    try:
        for child in os.listdir(directory):  # noqa: PTH208
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(os.lstat(child, dir_fd=directory).st_mode):
                    change_mode(child, 0o700, dir_fd=directory)
                    unused = random_hex(8)
                    os.rename(
                        child, unused, src_dir_fd=directory, dst_dir_fd=parent
                    )
                else:
                    os.unlink(child, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)


def is_replaced(directory: Path) -> bool:
    """Return True if something other than a directory is at the path `directory`.

    Links are not followed, because they may lead to files that do not belong to the run.
    """
    try:
        return not stat.S_ISDIR(directory.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
