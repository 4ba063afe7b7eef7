"""The size and SHA-256 of files. A file on this machine is read only if it has changed."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gitorch.database.file_digests import Facts
from gitorch.errors import GitorchError
from gitorch.git.store.objects import digests_of_blobs
from gitorch.git.store.pointers import SIZES_OF_POINTERS, parse_pointer
from gitorch.storage.site import Site
from gitorch.tools.untrusted import Unacceptable, open_plain, read_up_to

_READERS = 4
_BLOCK = 1 << 20
_LONG = 1 << 30  # bytes; reading them takes a second or two
# If a file was written less than this time ago, another write may leave its timestamps unchanged.
_RACY_NS = 2_000_000_000


class CommittedFile(Struct, frozen=True):
    """A committed file: its blob, and its path in the worktree of a run."""

    blob_id: str
    path: str


class PointedContent(NamedTuple):
    """Data that is not on this machine, with the digest and the size that a pointer file has."""

    digest: str
    size: int


Location = CommittedFile | PointedContent | Path  # a Path: a file on this machine
Notify = Callable[[str], None]  # receives a message about work that takes long


def ignore_notice(message: str) -> None:
    """Receive a message, and do nothing with it."""


class Unusable(GitorchError):
    """An input that is missing or cannot be hashed."""

    kind = "input"


class Content(NamedTuple):
    """The content of a file, by which it is compared.

    The content of a Git LFS pointer is that of the file that it stands for. `digest` is the one in
    another pointer. It is given only if the content is not on this machine. `sha256` is then empty.
    """

    size: int
    sha256: str
    digest: str = ""

    @property
    def identity(self) -> str:
        return self.digest or self.sha256


def contents_of_blobs(site: Site, blob_ids: Sequence[str]) -> dict[str, Content]:
    """Return the contents of blobs, as git has them."""
    contents = {}
    for blob_id, size, sha256 in digests_of_blobs(site.repository.root, blob_ids):
        contents[blob_id] = Content(size, sha256)
    return contents


def contents_of_files(
    site: Site, paths: Sequence[Path], notify: Notify
) -> dict[Path, Content | Unusable]:
    """Return the content of each file, or the error if the file cannot be read.

    A file whose digest is remembered is not read again.
    """
    contents: dict[Path, Content | Unusable] = {}
    facts: dict[Path, Facts] = {}
    for path in paths:
        try:
            facts[path] = Facts.of(path.stat())
        except OSError as error:
            contents[path] = Unusable(f"{path} cannot be read: {error.strerror}")
    not_pointers = {
        path: known
        for path, known in facts.items()
        if known.size not in SIZES_OF_POINTERS
    }
    remembered = site.digests.recall(not_pointers)
    for path, sha256 in remembered.items():
        contents[path] = Content(facts[path].size, sha256)
    unknown = [path for path in facts if path not in remembered]
    unknown_size = sum(facts[path].size for path in unknown)
    _announce_reading(unknown_size, notify)
    contents.update(_read_and_remember(site, unknown))
    return contents


def _announce_reading(size: int, notify: Notify) -> None:
    if size > _LONG:
        gibibytes = size / (1 << 30)
        notify(
            f"reading {gibibytes:.1f} GiB of inputs; unchanged files will not be read again"
        )


def _read_and_remember(
    site: Site, paths: Sequence[Path]
) -> dict[Path, Content | Unusable]:
    """Read files, several at a time: hashlib releases the GIL while it works."""
    contents: dict[Path, Content | Unusable] = {}
    settled = []
    is_interrupted = threading.Event()

    def read(path: Path) -> _ReadFile | Unusable:
        return _read(path, is_interrupted)

    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  takes 5 ms

    with (
        ThreadPoolExecutor(_READERS, "hasher") as readers,
        _set_if_interrupted(is_interrupted),
    ):
        for path, result in zip(paths, readers.map(read, paths), strict=True):
            if isinstance(result, Unusable):
                contents[path] = result
                continue
            contents[path] = result.content
            if result.is_settled:
                settled.append((path, result.facts, result.content.sha256))
    site.digests.remember(settled)
    return contents


class _ReadFile(Struct, frozen=True):
    facts: Facts
    content: Content
    is_settled: bool  # True if every later change of the file changes its facts


@contextmanager
def _set_if_interrupted(event: threading.Event) -> Iterator[None]:
    try:
        yield
    except BaseException:
        event.set()
        raise


def _read(path: Path, is_interrupted: threading.Event) -> _ReadFile | Unusable:
    """Read a file to its end, or as long as it was when it was opened.

    A file that grows as fast as it is read has no end.
    """
    digest = hashlib.sha256()
    try:
        descriptor = open_plain(path)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            left = before.st_size
            buffer = memoryview(bytearray(_BLOCK))
            # What is added to the file is not read: the file may grow faster than it is read.
            while left > 0 and (count := file.readinto(buffer)):
                if is_interrupted.is_set():
                    return Unusable(f"{path} was not read to its end")
                left -= count
                digest.update(buffer[:count])
            pointer = None
            if before.st_size in SIZES_OF_POINTERS:
                size = before.st_size
                pointer = parse_pointer(read_up_to(file.fileno(), size, size))
        facts = Facts.of(path.stat())
    except Unacceptable as error:
        return Unusable(str(error))
    except OSError as error:
        return Unusable(f"{path} cannot be read: {error.strerror}")
    if facts != Facts.of(before):
        return Unusable(
            f"{path} was changed while it was read",
            "wait until it is complete, and try again",
        )
    age_ns = time.time_ns() - facts.ctime_ns
    content = Content(facts.size, digest.hexdigest())
    if pointer is not None:
        content = Content(pointer.size, pointer.sha256)
    return _ReadFile(facts, content, is_settled=age_ns > _RACY_NS)
