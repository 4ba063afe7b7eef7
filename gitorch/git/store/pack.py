"""Packs written by hand: all new objects of a change in one file, which is flushed once.

They are safe beside `git gc --prune=now`. Loose objects written beside a prune are lost, and
flushing each of them is slow. A pack is written aside, under the common directory (never as `tmp_*`
among the packs, which prune deletes), and then published in this order: a `.keep`, which gc and
repack respect; the pack; its index, which makes it visible. Once a reference leads to the objects,
the `.keep` is removed. The formats are those of gitformat-pack(5).
"""

from __future__ import annotations

import os
import struct
import zlib
from enum import IntEnum
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from gitorch.tools.faults import boundary
from gitorch.tools.files import delete, sync_directory
from gitorch.tools.random_names import random_hex
from gitorch.tools.untrusted import read_plain

if TYPE_CHECKING:
    from hashlib import _Hash

KEEP_REASON = b"gitorch\n"  # distinguishes our `.keep` files from the user's
# zlib's level: these bytes are compressed while the lock is held, and again by the user's own gc.
_COMPRESSION_LEVEL = 1
# zlib's tables take 50 us to clear, for any object. Those of a small object have 32 KiB instead of
# 256 KiB and take 2 us. The object is compressed as well, since it fits into their window.
_SMALL_WINDOW = 12  # bits
_SMALL_MEMORY = 5
_CHUNK = 1 << 20
_HEADER = struct.Struct(">4sII")
_INDEX_HEADER = b"\xfftOc\x00\x00\x00\x02"
# Offsets from here on are in the index's table of 64-bit offsets. The 32-bit entry then has the
# highest bit set, and its other bits are the row in that table.
_FAR = 1 << 31
_IN_TABLE = 1 << 31


class ObjectType(IntEnum):
    """Object types as packs number them."""

    COMMIT = 1
    TREE = 2
    BLOB = 3


class _PackEntry(NamedTuple):
    """Where an object is in the pack. The order of the fields is the order in the index: by oid."""

    oid: bytes
    crc: int
    offset: int
    kind: ObjectType


class PackedObject(NamedTuple):
    """An object as a pack has it: `data` is a header and the compressed content."""

    kind: ObjectType
    oid: bytes
    data: bytes


def packed_object(kind: ObjectType, data: bytes) -> PackedObject:
    return PackedObject(kind, object_id(kind, data), _packed(kind, data))


class PackWriter:
    """A pack in the making.

    Objects go straight to its file, so that memory stays flat for any number of objects.
    """

    def __init__(self, common_dir: Path) -> None:
        aside = _aside(common_dir)
        aside.mkdir(parents=True, exist_ok=True)
        self._packs = common_dir / "objects" / "pack"
        self._path = aside / random_hex(8)
        self._file = self._path.open("x+b")
        self._file.write(_HEADER.pack(b"PACK", 2, 0))
        self._entries: dict[bytes, _PackEntry] = {}
        self._end = _HEADER.size

    def add(self, kind: ObjectType, data: bytes) -> bytes:
        """Put the object into the pack, unless it is there already; return its oid."""
        oid = object_id(kind, data)
        if oid not in self._entries:
            self.add_packed(PackedObject(kind, oid, _packed(kind, data)))
        return oid

    def add_packed(self, packed: PackedObject) -> None:
        """Put an object into the pack that was packed before, unless it is there already."""
        kind, oid, data = packed
        if oid not in self._entries:
            self._entries[oid] = _PackEntry(oid, zlib.crc32(data), self._end, kind)
            self._file.write(data)
            self._end += len(data)

    def read(self, oid: bytes) -> bytes | None:
        """Return an object of this pack, or None."""
        entry = self._entries.get(oid)
        if entry is None:
            return None
        self._file.flush()
        descriptor = self._file.fileno()
        # Skip the entry's header: its last byte is the first without the highest bit.
        position = entry.offset
        while os.pread(descriptor, 1, position)[0] & 0x80:
            position += 1
        position += 1
        unpacking = zlib.decompressobj()
        data = bytearray()
        while not unpacking.eof:
            chunk = os.pread(descriptor, _CHUNK, position)
            position += len(chunk)
            data += unpacking.decompress(chunk)
        return bytes(data)

    def publish(self) -> KeptPack:
        """Flush the pack and make it one of the repository's, protected until it is released."""
        checksum = self._seal()
        index = self._path.with_suffix(".idx")
        _write_durably(
            index, _render_index(sorted(self._entries.values()), checksum)
        )
        return publish_pack(self._path, index, self._packs, checksum.hex())

    def close(self) -> None:
        """Delete what was not published."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        for suffix in (".idx", ".keep"):
            self._path.with_suffix(suffix).unlink(missing_ok=True)

    def _seal(self) -> bytes:
        """Write the number of objects and the checksum, which are known only at the end."""
        self._file.seek(0)
        self._file.write(_HEADER.pack(b"PACK", 2, len(self._entries)))
        self._file.seek(0)
        digest = _sha1()
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
        """Remove the protection; to be called once a reference leads to the objects."""
        self.keep.unlink(missing_ok=True)
        boundary()


def publish_pack(pack: Path, index: Path, packs: Path, name: str) -> KeptPack:
    """Move a pack and its index, both flushed, into the repository's directory `packs`."""
    keep = packs / f"pack-{name}.keep"
    # By a rename: an empty `.keep`, left by a writer that was killed in between, would look like
    # the user's own.
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
    """Remove the files that a killed writer left.

    Call this only under the lock, so that no file can belong to a writer that is alive.
    """
    for path in _paths_in(_aside(common_dir)):
        delete(Path(path))
    for path in _paths_in(common_dir / "objects" / "pack"):
        if path.endswith(".keep") and _is_ours(Path(path)):
            Path(path).unlink()


def _is_ours(keep: Path) -> bool:
    try:
        return read_plain(keep, len(KEEP_REASON)) == KEEP_REASON
    except OSError:
        return False


def _sha1(data: bytes = b"") -> _Hash:
    import hashlib  # noqa: PLC0415  loads OpenSSL in 4 ms, which listing does not need

    return hashlib.sha1(data, usedforsecurity=False)


def object_id(kind: ObjectType, data: bytes) -> bytes:
    header = b"%s %d\0" % (kind.name.lower().encode(), len(data))
    return _sha1(header + data).digest()


def _aside(common_dir: Path) -> Path:
    return common_dir / "gitorch" / "packing"


def _paths_in(directory: Path) -> list[str]:
    """Return the paths in a directory.

    The paths are text instead of `Path`: there may be hundreds, and every commit lists them.
    """
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _packed(kind: ObjectType, data: bytes) -> bytes:
    window, memory = zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL
    if len(data) <= 1 << _SMALL_WINDOW:
        window, memory = _SMALL_WINDOW, _SMALL_MEMORY
    deflate = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, window, memory)
    compressed = deflate.compress(data) + deflate.flush()
    return _entry_header(kind, len(data)) + compressed


def _entry_header(kind: ObjectType, size: int) -> bytes:
    """Return type and size of an object, as the pack has them.

    The first byte has 4 bits of the size beside the type, each further byte 7 bits, lowest first.
    """
    byte = (kind << 4) | (size & 0x0F)
    size >>= 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    header.append(byte)
    return bytes(header)


def _render_index(entries: list[_PackEntry], checksum: bytes) -> bytes:
    """Return the index, version 2, of objects sorted by their oid."""
    first_bytes = [0] * 256
    near: list[int] = []
    far: list[int] = []
    for entry in entries:
        first_bytes[entry.oid[0]] += 1
        if entry.offset < _FAR:
            near.append(entry.offset)
        else:
            near.append(_IN_TABLE | len(far))
            far.append(entry.offset)
    count = len(entries)
    oids = b"".join([entry.oid for entry in entries])
    checksums = [entry.crc for entry in entries]
    body = b"".join(
        (
            _INDEX_HEADER,
            struct.pack(">256I", *accumulate(first_bytes)),
            oids,
            struct.pack(f">{count}I", *checksums),
            struct.pack(f">{count}I", *near),
            struct.pack(f">{len(far)}Q", *far),
            checksum,
        )
    )
    return body + _sha1(body).digest()


def _write_durably(path: Path, data: bytes) -> None:
    """Write a new read-only file and flush it.

    Unlike `write_aside` this renames nothing and does not flush the directory: `publish_pack` does
    both later, for the pack and the index together.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
        boundary()
