"""Kept files: small ones as they are, large ones as Git LFS objects with a pointer.

Small files, and the pointers, go into the results branch. The objects lie where git-lfs looks for
them, so that a checkout of the branch gives the real files. gitorch has a second link to
each object, because `git lfs prune` may delete objects that it believes to be pushed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import math
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from gitorch.errors import GitorchError, NotFound, Refused
from gitorch.git.fetching import how_to_fetch
from gitorch.git.modes import EXECUTABLE, FILE, LINK
from gitorch.git.repository import Repository
from gitorch.git.store.copying import copy_and_hash
from gitorch.git.store.pointers import Pointer, parse_pointer
from gitorch.git.store.spool import Spool, SpooledBlob
from gitorch.model.run.record import Output
from gitorch.tools.faults import boundary
from gitorch.tools.files import sync_directory
from gitorch.tools.locks import lock_within
from gitorch.tools.random_names import random_hex
from gitorch.tools.room import FULL_ERRORS, why_too_large
from gitorch.tools.untrusted import (
    PlainFiles,
    Unacceptable,
    open_file,
    open_plain,
    read_up_to,
)

_STALE_S = 60.0
# The bytes that a large file must leave free on its disk, for the records of runs.
_MARGIN = 16 << 20
# The free space is examined each time that a spool has grown by so many bytes.
_EXAMINED = 1 << 20
_NO_HARD_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


class Unkeepable(GitorchError):
    """A file that cannot be kept.

    The file is neither regular nor a symbolic link, or is gone, or is not readable.
    """

    kind = "unkeepable"


class TooLarge(Unkeepable):
    """A file that the disk of the results has no space for."""


class Stored(Struct, frozen=True, kw_only=True):
    """A file that was read once and can be put on the branch.

    `data` is the file's bytes, the target of a symbolic link, or a pointer.
    """

    size: int
    sha256: str
    kind: str  # "git" or "lfs"
    mode: int
    data: bytes | SpooledBlob


def store(
    repo: Repository,
    path: Path,
    large: int,
    *,
    spool: Spool | None = None,
    files: PlainFiles | None = None,
) -> Stored:
    """Read the file at `path` once, and store a large one durably as an LFS object.

    A file is large if it has more than `large` bytes. The content of a large file is never in
    memory as a whole, and that of a small one need not stay there if there is a `spool`. `files`
    are those below the directory that no link on the way to the file may lead out of. The default
    is the file's own directory.
    Raises TooLarge before anything is copied, Unkeepable, or GitorchError if the LFS store cannot
    be written.
    """
    try:
        state = os.lstat(path)
        if stat.S_ISLNK(state.st_mode):
            return _small(os.fsencode(path.readlink()), LINK)
        opens = files.open if files else partial(open_plain, below=path.parent)
        descriptor = opens(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        state = os.fstat(descriptor)
        mode = EXECUTABLE if state.st_mode & stat.S_IXUSR else FILE
        if state.st_size <= large:
            data = read_up_to(descriptor, large + 1, state.st_size)
            if len(data) <= large:  # the file may have grown since `lstat`
                return _spooled(repo, data, mode, spool)
        with _new_object(repo, state.st_size) as new:
            pointer = copy_and_hash(descriptor, new.fileno())
            _publish_object(repo, new, pointer)
            return _pointed(pointer, mode)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)


def store_text(
    repo: Repository,
    blocks: Iterable[bytes],
    large: int,
    *,
    size: int,
    spool: Spool | None = None,
) -> Stored:
    """Store a file that does not exist yet: a text of about `size` bytes, block by block.

    Raises TooLarge, GitorchError, and the errors of `blocks`.
    """
    remaining = iter(blocks)
    data = b""
    for block in remaining:
        data += block
        if len(data) > large:
            break
    else:
        return _spooled(repo, data, FILE, spool)
    with _new_object(repo, size) as new:
        digest = hashlib.sha256()
        for block in chain([data], remaining):
            new.write(block)
            digest.update(block)
        new.flush()
        pointer = Pointer(digest.hexdigest(), new.tell())
        _publish_object(repo, new, pointer)
        return _pointed(pointer, FILE)


def open_kept(repo: Repository, data: bytes, stored: str | None = None) -> BinaryIO:
    """Open the content of a kept file, which the branch has as `data`.

    `stored` is "git" or "lfs". If it is None, because an earlier version has not recorded it, data
    that look like a pointer are one. Raises NotFound if this clone lacks the LFS object.
    """
    pointer = None if stored == "git" else parse_pointer(data)
    if pointer is None:
        return io.BytesIO(data)
    return open_file(_object(repo, pointer))


def restore(
    repo: Repository, output: Output, data: bytes | None, directory: Path
) -> Path:
    """Put a kept file, which the branch has as `data`, back in its place under `directory`.

    Nothing is written outside `directory`, whatever path the record has (another person may have
    written the record). The file appears at once, and replaces a file that was there. Raises
    NotFound, Refused.
    """
    target = _inside(directory, output.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{random_hex(8)}")
    try:
        sha256 = _write_kept(repo, output, data, aside)
        if sha256 != output.sha256:
            raise Refused(
                f"the kept file {output.path} is damaged: "
                f"its SHA-256 is {sha256}, not {output.sha256}"
            )
        if output.mode == EXECUTABLE:
            _make_executable(aside)
        aside.replace(target)
        boundary()
    finally:
        aside.unlink(missing_ok=True)
    return target


def _write_kept(
    repo: Repository, output: Output, data: bytes | None, path: Path
) -> str:
    """Write a kept file at `path`, which is free; return its SHA-256."""
    if output.stored == "lfs":
        source = _object(repo, Pointer(output.sha256, output.size))
        with open_file(source) as file, path.open("xb+") as copy:
            return copy_and_hash(file.fileno(), copy.fileno()).sha256
    if data is None:
        raise NotFound(
            f"{output.path} is not on the results branch",
            "git fsck shows whether anything is lost",
        )
    if output.mode == LINK:
        path.symlink_to(os.fsdecode(data))
    else:
        path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _make_executable(path: Path) -> None:
    """Make the file executable for everyone who can read it, as git does."""
    mode = path.stat().st_mode
    readers = mode & (stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    path.chmod(mode | readers >> 2)


def is_intact(repo: Repository, output: Output, data: bytes) -> bool:
    """Return True if a kept file, which the branch has as `data`, has the recorded SHA-256.

    The whole file is read. Raises NotFound, OSError.
    """
    if output.stored != "lfs":
        return hashlib.sha256(data).hexdigest() == output.sha256
    with open_file(_object(repo, Pointer(output.sha256, output.size))) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == output.sha256


def has_copies(repo: Repository, pointer: Pointer) -> tuple[bool, bool]:
    """Return whether git-lfs's copy of a large file exists, and whether gitorch's does.

    Only the sizes are checked.
    """
    theirs, ours = _locations(repo, pointer.sha256)
    return _is_whole(theirs, pointer.size), _is_whole(ours, pointer.size)


def complete_copies(repo: Repository, pointer: Pointer) -> None:
    """Make the missing copy of a large file from the other one.

    Raises NotFound if both are missing, or OSError.
    """
    source = _object(repo, pointer)
    for path in _locations(repo, pointer.sha256):
        _publish(source, path, pointer.size)


# Objects


def _unreadable(path: Path, error: OSError) -> Unkeepable:
    if isinstance(error, Unacceptable):
        return Unkeepable(str(error))
    return Unkeepable(f"{path} cannot be read: {error.strerror}")


def _small(data: bytes, mode: int) -> Stored:
    sha256 = hashlib.sha256(data).hexdigest()
    return Stored(size=len(data), sha256=sha256, kind="git", mode=mode, data=data)


def _spooled(
    repo: Repository, data: bytes, mode: int, spool: Spool | None
) -> Stored:
    stored = _small(data, mode)
    if spool is None:
        return stored
    # The commit copies the spool into a pack.
    if not spool.size or spool.size % _EXAMINED + len(data) >= _EXAMINED:
        margin = min(_MARGIN, spool.size)
        _require_space(repo.common_dir, len(data) + spool.size, margin)
    with _write_errors_explained(repo.common_dir):
        return replace(stored, data=spool.put(data))


def _pointed(pointer: Pointer, mode: int) -> Stored:
    return Stored(
        size=pointer.size,
        sha256=pointer.sha256,
        kind="lfs",
        mode=mode,
        data=pointer.render(),
    )


@contextlib.contextmanager
def _new_object(repo: Repository, size: int) -> Iterator[BinaryIO]:
    """Yield a file for a new object of about `size` bytes. Raises TooLarge, GitorchError."""
    lfs = repo.lfs_dir
    with _write_errors_explained(lfs):
        lfs.mkdir(parents=True, exist_ok=True)
        for directory in (lfs, repo.common_dir):
            _require_space(directory, size)
        with _incoming(lfs) as file:
            yield file


def _publish_object(repo: Repository, new: BinaryIO, pointer: Pointer) -> None:
    os.fchmod(new.fileno(), 0o444)
    os.fsync(new.fileno())
    boundary()
    for path in _locations(repo, pointer.sha256):
        _publish(Path(new.name), path, pointer.size)


def _require_space(directory: Path, size: int, margin: int = _MARGIN) -> None:
    why = why_too_large(directory, size, margin=margin)
    if why:
        raise TooLarge(why)


@contextlib.contextmanager
def _write_errors_explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL_ERRORS:
            raise TooLarge(
                f"{directory} cannot be written: {error.strerror}"
            ) from error
        raise GitorchError(
            f"{directory} cannot be written: {error}", "make room, then try again"
        ) from error


@contextlib.contextmanager
def _incoming(lfs: Path) -> Iterator[BinaryIO]:
    """Yield a new file on the file system of the LFS objects, and delete it afterwards.

    The writer holds a lock on the file, so that the files of killed writers can be recognised.
    """
    directory = lfs / "gitorch-incoming"
    directory.mkdir(parents=True, exist_ok=True)
    _sweep(directory)
    with (directory / random_hex(8)).open("xb+") as file:
        try:
            lock_within(file.fileno(), math.inf, f"the lock of {file.name}")
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _sweep(directory: Path) -> None:
    """Delete the files of writers that were killed.

    A recent file is kept, because its writer may not have locked it yet.
    """
    for path in directory.iterdir():
        # OSError: the file is locked or gone, or is not a file.
        with contextlib.suppress(OSError), open_file(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


def _publish(source: Path, path: Path, size: int) -> None:
    """Make the flushed file `source` appear at `path`: by a link, or else by a copy.

    `write_aside` is not used, because the content is not in memory and usually is not even copied.
    """
    if _is_whole(path, size):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{random_hex(4)}")
    try:
        _link_or_copy(source, aside)
        aside.replace(path)
        boundary()
    finally:
        aside.unlink(missing_ok=True)
    # The two directories of the object may be new, so the one above them is flushed as well.
    for directory in path.parents[:3]:
        sync_directory(directory)


def _link_or_copy(source: Path, path: Path) -> None:
    try:
        path.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        _copy_durably(source, path)


def _copy_durably(source: Path, path: Path) -> None:
    with open_file(source) as file, path.open("xb+") as copy:
        copy_and_hash(file.fileno(), copy.fileno())
        os.fchmod(copy.fileno(), 0o444)
        os.fsync(copy.fileno())
        boundary()


def _object(repo: Repository, pointer: Pointer) -> Path:
    """Return the path of a complete copy of the object. Raises NotFound, Refused."""
    if not re.fullmatch(r"[0-9a-f]{64}", pointer.sha256):
        raise Refused(f"{pointer.sha256!r} is not a SHA-256")
    for path in _locations(repo, pointer.sha256):
        if _is_whole(path, pointer.size):
            return path
    raise NotFound(
        f"the large file {pointer.sha256} is not in this clone",
        how_to_fetch(repo),
    )


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _locations(repo: Repository, sha256: str) -> tuple[Path, Path]:
    """Return the path of git-lfs's copy of an object, and the path of gitorch's."""
    name = Path(sha256[:2], sha256[2:4], sha256)
    return repo.lfs_dir / "objects" / name, repo.store_dir / "objects" / name


def _inside(directory: Path, path: str) -> Path:
    """Return the path in `directory`.

    Raises Refused if the path leads out of `directory`, by name or through a symbolic link.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise Refused(f"{path!r} leads out of {directory}")
    parent = directory
    for part in parts[:-1]:
        parent /= part
        if parent.is_symlink():
            raise Refused(f"{path!r} leads through the symbolic link {parent}")
    return directory.joinpath(*parts)
