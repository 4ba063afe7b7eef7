"""Packs written by hand: git reads them, and no gc takes them too early."""

from __future__ import annotations

import random
import subprocess
import zlib
from pathlib import Path

import pytest

from gitorch.git.store import pack as pack_module
from gitorch.git.store.pack import (
    KEEP_REASON,
    ObjectType,
    PackWriter,
    object_id,
    sweep_packs,
)
from tests.conftest import git


def cat(project: Path, oid: bytes) -> bytes:
    return subprocess.run(
        ["git", "cat-file", "blob", oid.hex()],
        cwd=project,
        capture_output=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    "size", [0, 1, 15, 16, 2047, 2048, 4096, 4097, 300_000, 5_000_000]
)
def test_git_reads_a_published_pack(project: Path, size: int) -> None:
    data = (b"line %d\n" * (size // 8 + 1))[:size]
    writer = PackWriter(project / ".git")
    oid = writer.add(ObjectType.BLOB, data)
    assert (
        writer.add(ObjectType.BLOB, data) == oid == object_id(ObjectType.BLOB, data)
    )
    assert writer.read(oid) == data
    assert writer.read(b"\0" * 20) is None
    kept = writer.publish()
    assert cat(project, oid) == data
    (index,) = (project / ".git" / "objects" / "pack").glob("*.idx")
    assert git(project, "verify-pack", str(index)) == ""
    assert (
        git(project, "fsck", "--full", "--strict") == f"dangling blob {oid.hex()}"
    )
    kept.release()
    assert not list(index.parent.glob("*.keep"))
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())


@pytest.mark.parametrize("size", [100, 4096, 4097, 100_000])
def test_git_reads_what_cannot_be_compressed(project: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    writer = PackWriter(project / ".git")
    oid = writer.add(ObjectType.BLOB, data)
    assert writer.read(oid) == data
    writer.publish()
    assert cat(project, oid) == data


def test_git_follows_offsets_beyond_31_bits(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if offsets from there on needed the table of 64-bit offsets.
    monkeypatch.setattr(pack_module, "_FAR", 20_000)
    writer = PackWriter(project / ".git")
    blobs = [b"%d" % number for number in range(2000)]
    names = "\n".join(writer.add(ObjectType.BLOB, data).hex() for data in blobs)
    writer.publish()
    output = subprocess.run(
        ["git", "cat-file", "--batch=%(objectsize)"],
        cwd=project,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    assert output.stdout == b"".join(
        b"%d\n%s\n" % (len(data), data) for data in blobs
    )
    (index,) = (project / ".git" / "objects" / "pack").glob("*.idx")
    assert (
        index.stat().st_size > 8 + 4 * 256 + 28 * len(blobs) + 40
    )  # the table of 64-bit offsets is there


def test_a_pack_survives_prune_only_while_it_is_kept(project: Path) -> None:
    writer = PackWriter(project / ".git")
    oid = writer.add(ObjectType.BLOB, b"unreachable")
    kept = writer.publish()
    git(project, "gc", "-q", "--prune=now")
    assert cat(project, oid) == b"unreachable"
    kept.release()
    git(project, "gc", "-q", "--prune=now")
    with pytest.raises(subprocess.CalledProcessError):
        cat(project, oid)


def test_only_what_a_killed_writer_left_is_removed(project: Path) -> None:
    packs = project / ".git" / "objects" / "pack"
    abandoned = PackWriter(project / ".git")
    abandoned.add(ObjectType.BLOB, b"half")
    published = PackWriter(project / ".git")
    published.add(ObjectType.BLOB, b"whole")
    keep = published.publish().keep
    (packs / "pack-users.keep").write_bytes(b"the user's own\n")
    assert keep.read_bytes() == KEEP_REASON
    sweep_packs(project / ".git")
    assert not keep.exists()
    assert (packs / "pack-users.keep").exists()
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())
    abandoned.close()


def test_a_pack_that_is_not_published_leaves_nothing(project: Path) -> None:
    writer = PackWriter(project / ".git")
    writer.add(ObjectType.BLOB, b"x")
    writer.close()
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())
    assert not list((project / ".git" / "objects" / "pack").glob("*"))


def test_the_objects_are_not_held_in_memory(project: Path) -> None:
    writer = PackWriter(project / ".git")
    for number in range(50):
        writer.add(ObjectType.BLOB, number.to_bytes(4, "big") * 50_000)
    assert sum(len(entry) for entry in writer._entries.values()) < 1000
    writer.close()


def test_the_checksums_are_those_of_the_entries(project: Path) -> None:
    writer = PackWriter(project / ".git")
    writer.add(ObjectType.BLOB, b"x")
    (entry,) = writer._entries.values()
    writer._file.flush()
    assert zlib.crc32(writer._path.read_bytes()[entry.offset :]) == entry.crc
    writer.close()
