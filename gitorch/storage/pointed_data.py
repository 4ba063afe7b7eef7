"""Data that a pointer file of DVC stands for. If the data is not here, its digest names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitorch.config.dvc_file import LARGEST, SUFFIX, DvcPointer, parse_dvc_file
from gitorch.git.store.objects import read_bounded
from gitorch.model.run.record import Data
from gitorch.storage.contents import CommittedFile, Location, PointedContent
from gitorch.storage.input_files import files_at
from gitorch.storage.site import Site
from gitorch.tools.untrusted import open_file, read_plain

_MD5 = "md5:"


def follow_pointer(
    site: Site, name: str, location: Location
) -> Iterator[tuple[str, Location]]:
    """Yield the file called `name`, or the data that it stands for if it is a pointer file of DVC.

    A file of that data is called `name` too. Files of a directory have names below `name`. If the
    data is not on this machine, its digest in the pointer file stands for it.
    """
    pointer = _read_pointer(site, name, location)
    if pointer is None:
        yield name, location
        return
    beside = site.repository.main_root / name
    if isinstance(location, Path):
        beside = location
    yield from _pointed(pointer, name, beside.parent / pointer.path)


def stand_in(
    site: Site, name: str, pointer_file: Location
) -> PointedContent | None:
    """Return the content of the missing file `name`, as the pointer file beside it says."""
    pointer = _read_pointer(site, f"{name}{SUFFIX}", pointer_file)
    if pointer is None:
        return None
    return PointedContent(pointer.digest, pointer.size)


def has_arrived(files: Mapping[str, Location], entries: Sequence[Data]) -> bool:
    """Return True if `files` are now the data that only a pointer file stood for.

    `entries` are the recorded entries of the input. Raises OSError, Unusable.
    """
    if len(entries) != 1 or not entries[0].digest.startswith(_MD5):
        return False
    for name, location in files.items():
        if not isinstance(location, Path):
            return False
        path = location
        for _ in range(name.count("/") - entries[0].path.count("/")):
            path = path.parent
        return entries[0].digest == _digest(path)
    return False


def _digest(path: Path) -> str:
    """Return the digest that DVC gives to a file, or to a directory."""
    if not path.is_dir():
        return f"{_MD5}{_md5(path)}"
    listed = []
    for name, file in files_at(path, "."):
        listed.append({"md5": _md5(file), "relpath": name})
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True).encode()
    return f"{_MD5}{_new_md5(text).hexdigest()}.dir"


def _pointed(
    pointer: DvcPointer, name: str, path: Path
) -> Iterator[tuple[str, Location]]:
    found = False
    for inner, file in files_at(path, name):
        found = True
        yield inner, file
    if not found:
        yield name, PointedContent(pointer.digest, pointer.size)


def _read_pointer(site: Site, name: str, location: Location) -> DvcPointer | None:
    if not name.endswith(SUFFIX):
        return None
    match location:
        case CommittedFile(blob_id=blob_id):
            [data] = read_bounded(site.repository.root, [blob_id], LARGEST)
        case Path():
            try:
                data = read_plain(location, LARGEST)
            except OSError:
                return None
        case _:
            return None
    return parse_dvc_file(data or b"")


def _md5(path: Path) -> str:
    with open_file(path) as file:
        return hashlib.file_digest(file, _new_md5).hexdigest()


def _new_md5(data: bytes = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)
