"""What files hold, told by SHA-256: those on this machine are read only if they have changed since
they were.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from gitorch.database.file_digests import Facts
from gitorch.errors import GitorchError
from gitorch.git.store.objects import digests_of_blobs, read_objects
from gitorch.git.store.pointers import parse_pointer
from gitorch.runs.site import Site

_READERS = 4
_BLOCK = 1 << 20
_LONG = 1 << 30  # bytes: a second or two
_LONGEST_POINTER = 200
# Written so short a time ago, a file may be written once more without a change of its times.
_RACY_NS = 2_000_000_000

Place = str | Path  # a blob of a commit by its oid, or a file on this machine
Tell = Callable[[str], None]  # who hears of what takes long


def unheard(message: str) -> None:
    """Nobody hears of it."""


class Unusable(GitorchError):
    """An input that is missing, or that holds what cannot be hashed."""

    kind = "input"


class Content(NamedTuple):
    size: int
    sha256: str


def contents_of_blobs(site: Site, oids: Sequence[str]) -> dict[Place, Content]:
    """Of a large file's Git LFS pointer, what it stands for."""
    root = site.repository.root
    found: dict[Place, Content] = {
        oid: Content(size, sha256) for oid, size, sha256 in digests_of_blobs(root, oids)
    }
    small = [oid for oid in oids if found[oid].size <= _LONGEST_POINTER]
    for oid, data in zip(small, read_objects(root, small), strict=True):
        if pointer := parse_pointer(data or b""):
            found[oid] = Content(pointer.size, pointer.sha256)
    return found


def contents_of_files(
    site: Site, paths: Sequence[Path], tell: Tell
) -> dict[Place, Content | Unusable]:
    """Those that are remembered are not read."""
    contents: dict[Place, Content | Unusable] = {}
    facts: dict[Path, Facts] = {}
    for path in paths:
        try:
            facts[path] = Facts.of(path.stat())
        except OSError as error:
            contents[path] = Unusable(f"{path} cannot be read: {error.strerror}")
    known = site.digests.recall(facts)
    contents |= {path: Content(facts[path].size, sha256) for path, sha256 in known.items()}
    unknown = [path for path in facts if path not in known]
    total = sum(facts[path].size for path in unknown)
    if total > _LONG:
        tell(
            f"reading {total / (1 << 30):.1f} GiB of inputs; what stays as it is will not be read again"
        )
    settled = []
    with ThreadPoolExecutor(
        _READERS, "hasher"
    ) as readers:  # hashlib lets the others go on while it works
        for path, found in zip(unknown, readers.map(_read, unknown), strict=True):
            if isinstance(found, Unusable):
                contents[path] = found
            else:
                contents[path] = Content(found.facts.size, found.sha256)
                if found.is_settled:
                    settled.append((path, found.facts, found.sha256))
    site.digests.remember(settled)
    return contents


class _Read(NamedTuple):
    facts: Facts
    sha256: str
    is_settled: bool  # whatever changes the file from now on changes its facts


def _read(path: Path) -> _Read | Unusable:
    digest = hashlib.sha256()
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        )  # a pipe by now is not waited for
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return Unusable(f"{path} is not a file any more")
            buffer = memoryview(bytearray(_BLOCK))
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
        facts = Facts.of(path.stat())
    except OSError as error:
        return Unusable(f"{path} cannot be read: {error.strerror}")
    if facts != Facts.of(before):
        return Unusable(
            f"{path} was changed while it was read", "wait until it is complete, and try again"
        )
    return _Read(facts, digest.hexdigest(), is_settled=time.time_ns() - facts.ctime_ns > _RACY_NS)
