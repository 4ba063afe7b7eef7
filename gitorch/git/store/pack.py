"""Packs written by hand: all new objects of a change in one file, flushed once, safe beside `git gc --prune=now`.

Loose objects written beside a prune are lost, and fsyncing each is dear. A pack is written aside, under the common
directory (never as `tmp_*` among the packs, which prune deletes), then published in this order: a `.keep`, which gc and
repack respect; the pack; its index, which makes it visible. Once a reference leads to the objects the `.keep` goes.
The formats are those of gitformat-pack(5).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import zlib
from enum import IntEnum
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gitorch.tools.faults import boundary
from gitorch.tools.files import sync_directory

KEEP_REASON = b"gitorch\n"  # tells our `.keep` files from the user's
_SPEED = 1  # zlib's level: these bytes are compressed while the lock is held, and again by the user's own gc
_CHUNK = 1 << 20
_HEADER = struct.Struct(">4sII")
_INDEX_HEADER = b"\xfftOc\x00\x00\x00\x02"
_FAR = 1 << 31  # offsets from here on go into the index's table of 64-bit ones,
_IN_TABLE = 1 << 31  # to whose rows such an entry points


class ObjectType(IntEnum):
    """Object types as packs number them."""

    COMMIT = 1
    TREE = 2
    BLOB = 3


class _Place(NamedTuple):
    oid: bytes
    crc: int
    offset: int
    kind: ObjectType


class PackWriter:
    """A pack in the making. Objects go straight to its file, so that memory stays flat however many there are."""

    def __init__(self, common_dir: Path) -> None:
        aside = _aside(common_dir)
        aside.mkdir(parents=True, exist_ok=True)
        self._packs = common_dir / "objects" / "pack"
        self._path = aside / secrets.token_hex(8)
        self._file = self._path.open("x+b")
        self._file.write(_HEADER.pack(b"PACK", 2, 0))
        self._places: dict[bytes, _Place] = {}
        self._end = _HEADER.size

    def add(self, kind: ObjectType, data: bytes) -> bytes:
        """The oid of the object, which is in the pack now, once."""
        oid = object_id(kind, data)
        if oid not in self._places:
            packed = _entry_header(kind, len(data)) + zlib.compress(data, _SPEED)
            self._places[oid] = _Place(oid, zlib.crc32(packed), self._end, kind)
            self._file.write(packed)
            self._end += len(packed)
        return oid

    def read(self, oid: bytes) -> bytes | None:
        """An object of this pack, or None."""
        place = self._places.get(oid)
        if place is None:
            return None
        self._file.flush()
        unpacking = zlib.decompressobj()
        position = place.offset
        while os.pread(self._file.fileno(), 1, position)[0] & 0x80:
            position += 1
        position += 1
        data = bytearray()
        while not unpacking.eof:
            chunk = os.pread(self._file.fileno(), _CHUNK, position)
            position += len(chunk)
            data += unpacking.decompress(chunk)
        return bytes(data)

    def publish(self) -> KeptPack:
        """Flush the pack to the disk and make it one of the repository's, protected until it is released."""
        checksum = self._seal()
        index = self._path.with_suffix(".idx")
        _write_durably(index, _render_index(sorted(self._places.values()), checksum))
        return publish_pack(self._path, index, self._packs, checksum.hex())

    def close(self) -> None:
        """Give up what was not published."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        for suffix in (".idx", ".keep"):
            self._path.with_suffix(suffix).unlink(missing_ok=True)

    def _seal(self) -> bytes:
        """Write the number of objects and the checksum over everything; both are known only at the end."""
        self._file.seek(0)
        self._file.write(_HEADER.pack(b"PACK", 2, len(self._places)))
        self._file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        self._file.write(digest.digest())
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        boundary()
        self._file.close()
        return digest.digest()


class KeptPack(Struct, frozen=True):
    """A published pack that neither gc nor repack touches until it is released."""

    keep: Path

    def release(self) -> None:
        """To be called when a reference leads to the objects."""
        self.keep.unlink(missing_ok=True)
        boundary()


def publish_pack(pack: Path, index: Path, packs: Path, name: str) -> KeptPack:
    """Move a pack and its index, both flushed, among the repository's `packs`."""
    keep = packs / f"pack-{name}.keep"
    # By a rename: an empty one, of a writer killed in between, could not be told from the user's own.
    aside = index.with_suffix(".keep")
    aside.write_bytes(KEEP_REASON)
    aside.rename(keep)
    boundary()
    pack.rename(packs / f"pack-{name}.pack")
    boundary()
    index.rename(packs / f"pack-{name}.idx")
    boundary()
    sync_directory(packs)
    return KeptPack(keep)


def sweep_packs(common_dir: Path) -> None:
    """Remove what a killed writer left. Only under the lock: then nobody else's can be there."""
    for path in _entries(_aside(common_dir)):
        Path(path).unlink()
    for path in _entries(common_dir / "objects" / "pack"):
        if path.endswith(".keep") and Path(path).read_bytes() == KEEP_REASON:
            Path(path).unlink()


def object_id(kind: ObjectType, data: bytes) -> bytes:
    header = b"%s %d\0" % (kind.name.lower().encode(), len(data))
    return hashlib.sha1(header + data, usedforsecurity=False).digest()


def _aside(common_dir: Path) -> Path:
    return common_dir / "gitorch" / "packing"


def _entries(directory: Path) -> list[str]:
    """The paths in a directory, as text: there may be hundreds, and this is in the way of every commit."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _entry_header(kind: ObjectType, size: int) -> bytes:
    """Type and size: 4 bits of size beside the type, then 7 a byte, the lowest first."""
    byte, size = (kind << 4) | (size & 0x0F), size >> 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    header.append(byte)
    return bytes(header)


def _render_index(places: list[_Place], checksum: bytes) -> bytes:
    """The index, version 2, of objects sorted by their oid."""
    firsts = [0] * 256
    for place in places:
        firsts[place.oid[0]] += 1
    far = [place.offset for place in places if place.offset >= _FAR]
    rank = iter(range(len(far)))
    near = [place.offset if place.offset < _FAR else _IN_TABLE | next(rank) for place in places]
    body = b"".join(
        (
            _INDEX_HEADER,
            struct.pack(">256I", *accumulate(firsts)),
            b"".join(place.oid for place in places),
            struct.pack(f">{len(places)}I", *(place.crc for place in places)),
            struct.pack(f">{len(places)}I", *near),
            struct.pack(f">{len(far)}Q", *far),
            checksum,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
        boundary()
