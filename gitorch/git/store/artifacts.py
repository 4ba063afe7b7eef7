"""Kept files: small ones go into the branch as they are, large ones become Git LFS objects and leave a pointer there.

The pointers are those of git-lfs (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), the objects lie where it
looks for them, so that a checkout of the branch gives the real files. A second link to each object is ours alone, since
`git lfs prune` may delete what it believes to be pushed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from gitorch.errors import GitorchError, NotFound, Refused
from gitorch.git.modes import EXECUTABLE, FILE, LINK
from gitorch.git.repository import Repository
from gitorch.model.run.record import Output
from gitorch.tools.faults import boundary
from gitorch.tools.files import sync_directory

DEFAULT_LARGE = 1 << 20
_CHUNK = 8 << 20
_STALE_S = 60.0
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]*)\n\Z"
)
_NO_REFLINK = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}


class Unkeepable(GitorchError):
    """A file that cannot be kept: neither regular nor a symbolic link, gone, or not readable."""

    kind = "unkeepable"


class Stored(Struct, frozen=True, kw_only=True):
    """A file that was read once and can be put on the branch: `data` is its bytes, a link's target, or a pointer."""

    size: int
    sha256: str
    kind: str  # "git" or "lfs"
    mode: int
    data: bytes


class Pointer(NamedTuple):
    """What an LFS pointer says."""

    sha256: str
    size: int

    def render(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


def parse_pointer(data: bytes) -> Pointer | None:
    found = _POINTER.match(data)
    return Pointer(found[1].decode(), int(found[2])) if found else None


def store(repo: Repository, path: Path, large: int = DEFAULT_LARGE) -> Stored:
    """Read the file at `path` once; above `large` bytes its content is in the LFS store, durably, when this returns.

    Memory stays flat. Raises Unkeepable, or GitorchError where the store cannot be written.
    """
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            return _small(os.fsencode(path.readlink()), LINK)
        if not stat.S_ISREG(facts.st_mode):
            raise Unkeepable(f"{path} is neither a file nor a symbolic link")
        mode = EXECUTABLE if facts.st_mode & stat.S_IXUSR else FILE
        with path.open("rb", buffering=0) as file:
            head = _read_whole(file.fileno(), large + 1) if facts.st_size <= large else None
            if head is not None and len(head) <= large:
                return _small(head, mode)
            return _store_large(repo, file.fileno(), mode)
    except OSError as error:
        raise Unkeepable(f"{path} cannot be read: {error.strerror}") from error


def open_kept(repo: Repository, data: bytes) -> BinaryIO:
    """What `data`, as it is on the branch, stands for: itself, or the object that it points to. Raises NotFound."""
    pointer = parse_pointer(data)
    return (
        io.BytesIO(data)
        if pointer is None
        else _object(repo, pointer.sha256, pointer.size).open("rb")
    )


def restore(repo: Repository, output: Output, data: bytes | None, directory: Path) -> Path:
    """Put a kept file back where it was under `directory`; `data` is what the branch has of it.

    Nothing is written outside of `directory`, whatever the record (perhaps somebody else's) says. The file appears
    whole, and in place of what was there. Raises NotFound, Refused.
    """
    target = _inside(directory, output.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{secrets.token_hex(8)}")
    try:
        if output.stored == "lfs":
            with (
                _object(repo, output.sha256, output.size).open("rb") as source,
                aside.open("xb+") as copy,
            ):
                found = _copy_and_hash(source.fileno(), copy.fileno()).sha256
        elif data is None:
            raise NotFound(
                f"{output.path} is not on the results branch",
                "git fsck tells whether anything is lost",
            )
        else:
            found = hashlib.sha256(data).hexdigest()
            if output.mode == LINK:
                aside.symlink_to(os.fsdecode(data))
            else:
                aside.write_bytes(data)
        if found != output.sha256:
            raise Refused(
                f"{output.path} as it was kept is damaged: its SHA-256 is {found}, not {output.sha256}"
            )
        if output.mode == EXECUTABLE:
            aside.chmod(aside.stat().st_mode | (aside.stat().st_mode & 0o444) >> 2)
        aside.replace(target)
        boundary()
    finally:
        aside.unlink(missing_ok=True)
    return target


def is_intact(repo: Repository, output: Output, data: bytes) -> bool:
    """Whether a kept file is all there, and what the record says; `data` is what the branch has of it. Reads all of it.

    Raises NotFound, OSError.
    """
    if output.stored != "lfs":
        return hashlib.sha256(data).hexdigest() == output.sha256
    with _object(repo, output.sha256, output.size).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == output.sha256


def has_copies(repo: Repository, pointer: Pointer) -> tuple[bool, bool]:
    """Whether git-lfs's copy of a large file is there, and whether ours is, by their sizes."""
    theirs, ours = (_is_whole(place, pointer.size) for place in _places(repo, pointer.sha256))
    return theirs, ours


def complete_copies(repo: Repository, pointer: Pointer) -> None:
    """Make the copy that is missing from the other. Raises NotFound where there is none, OSError."""
    source = _object(repo, pointer.sha256, pointer.size)
    for place in _places(repo, pointer.sha256):
        _publish(source, place, pointer.size)


def gitattributes_for(paths: Iterable[str]) -> bytes:
    """The .gitattributes that makes LFS files of exactly these paths, as they are on the branch from its directory."""
    return b"".join(
        b"%s filter=lfs diff=lfs merge=lfs -text\n" % _pattern(path) for path in sorted(paths)
    )


_LONGEST_LINE = 2000  # git ignores a longer line, from 2048 on, and fsck complains of it


def _pattern(path: str) -> bytes:
    """A pattern that matches `path` alone; where it would be too long, only its name, in any directory."""
    quoted = _quoted(b"/" + os.fsencode(path))
    return quoted if len(quoted) < _LONGEST_LINE else _quoted(os.fsencode(PurePosixPath(path).name))


def _quoted(path: bytes) -> bytes:
    literal = re.sub(rb"([*?\[\\!#])", rb"\\\1", path)
    if re.fullmatch(rb"[!#-~]+", literal):
        return literal
    octal = (b"\\%03o" % byte if byte < 0x20 or byte >= 0x7F else bytes([byte]) for byte in literal)
    return b'"' + b"".join(b"\\" + part if part in (b"\\", b'"') else part for part in octal) + b'"'


# Objects


def _small(data: bytes, mode: int) -> Stored:
    return Stored(
        size=len(data), sha256=hashlib.sha256(data).hexdigest(), kind="git", mode=mode, data=data
    )


def _store_large(repo: Repository, source: int, mode: int) -> Stored:
    try:
        with _incoming(_lfs(repo)) as aside:
            pointer = _copy_and_hash(source, aside.fileno())
            os.fchmod(aside.fileno(), 0o444)
            os.fsync(aside.fileno())
            boundary()
            for place in _places(repo, pointer.sha256):
                _publish(Path(aside.name), place, pointer.size)
    except OSError as error:
        raise GitorchError(
            f"{_lfs(repo)} cannot be written: {error}", "make room, then try again"
        ) from error
    return Stored(
        size=pointer.size, sha256=pointer.sha256, kind="lfs", mode=mode, data=pointer.render()
    )


@contextlib.contextmanager
def _incoming(lfs: Path) -> Iterator[BinaryIO]:
    """A new file on the file system of the LFS objects, gone afterwards. Locked, so that a killed writer's is known."""
    directory = lfs / "gitorch-incoming"
    directory.mkdir(parents=True, exist_ok=True)
    _sweep(directory)
    with (directory / secrets.token_hex(8)).open("xb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _sweep(directory: Path) -> None:
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (
                time.time() - path.stat().st_mtime > _STALE_S
            ):  # a newer one may not have its lock yet
                path.unlink()


def _publish(aside: Path, place: Path, size: int) -> None:
    """Make `aside` appear at `place`: by a link, or by a copy where that is another file system."""
    if _is_whole(place, size):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    own = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        try:
            own.hardlink_to(aside)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise
            with aside.open("rb") as source, own.open("xb+") as copy:
                _copy_and_hash(source.fileno(), copy.fileno())
                os.fchmod(copy.fileno(), 0o444)
                os.fsync(copy.fileno())
                boundary()
        own.replace(place)
        boundary()
    finally:
        own.unlink(missing_ok=True)
    for directory in (place.parent, place.parent.parent, place.parent.parent.parent):
        sync_directory(directory)


def _object(repo: Repository, sha256: str, size: int) -> Path:
    """Where the object lies, whole."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Refused(f"{sha256!r} is no SHA-256")
    for place in _places(repo, sha256):
        if _is_whole(place, size):
            return place
    raise NotFound(
        f"the large file {sha256} is not in this clone",
        "git lfs fetch --all brings what was pushed",
    )


def _is_whole(place: Path, size: int) -> bool:
    return place.is_file() and place.stat().st_size == size


def _places(repo: Repository, sha256: str) -> tuple[Path, Path]:
    """git-lfs's own place of an object, and ours."""
    name = Path(sha256[:2], sha256[2:4], sha256)
    return _lfs(repo) / "objects" / name, repo.store_dir / "objects" / name


def _lfs(repo: Repository) -> Path:
    return repo.common_dir / repo.git_config.get("lfs.storage", ["lfs"])[-1]


def _copy_and_hash(source: int, target: int) -> Pointer:
    """Copy what is left of one descriptor to another, empty one, and hash what arrived, a chunk behind.

    Hashing the copy makes digest and content agree whatever happens to the source meanwhile.
    """
    digest = hashlib.sha256()
    size = 0
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  3 ms that listing need not wait for

    with ThreadPoolExecutor(1) as beside:
        hashed = None
        while count := _copy_chunk(source, target):
            if hashed:
                hashed.result()
            hashed = beside.submit(_hash_range, digest.update, target, size, count)
            size += count
        if hashed:
            hashed.result()
    return Pointer(digest.hexdigest(), size)


def _copy_chunk(source: int, target: int) -> int:
    try:
        return os.copy_file_range(
            source, target, _CHUNK
        )  # shares the blocks where the file system can
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
        return os.sendfile(target, source, None, _CHUNK)


def _hash_range(update: Callable[[bytes], None], descriptor: int, start: int, count: int) -> None:
    """Feed the bytes of a range that was just written."""
    while count:
        data = os.pread(descriptor, min(count, 1 << 20), start)
        update(data)
        start, count = start + len(data), count - len(data)


def _read_whole(descriptor: int, limit: int) -> bytes:
    """Up to `limit` bytes from the start; the position stays where it was."""
    data = b""
    while len(data) < limit and (more := os.pread(descriptor, limit - len(data), len(data))):
        data += more
    return data


def _inside(directory: Path, path: str) -> Path:
    """The place of `path` in `directory`. Raises Refused where it would be elsewhere, also by a symbolic link."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise Refused(f"{path!r} leads out of {directory}")
    place = directory
    for part in parts[:-1]:
        place /= part
        if place.is_symlink():
            raise Refused(f"{path!r} leads through the symbolic link {place}")
    return directory.joinpath(*parts)
