"""Copies of large files: the same data, the same digest, the same holes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gitorch.git.store.copying import copy_and_hash

MIB = 1 << 20


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(0, 10)],
        [(0, 9 * MIB)],
        [(20 * MIB, 10)],
        [(0, 10), (5 * MIB, MIB), (30 * MIB, 10)],
    ],
)
@pytest.mark.parametrize("end", [0, 40 * MIB])
def test_a_copy_has_the_same_data_and_the_same_holes(
    tmp_path: Path, parts: list[tuple[int, int]], end: int
) -> None:
    path = tmp_path / "source"
    with path.open("wb") as file:
        for start, size in parts:
            file.seek(start)
            file.write(b"x" * size)
        if end:
            file.truncate(end)
    with path.open("rb") as source, (tmp_path / "copy").open("xb+") as copy:
        pointer = copy_and_hash(source.fileno(), copy.fileno())
    content = path.read_bytes()
    assert (tmp_path / "copy").read_bytes() == content
    assert pointer == (hashlib.sha256(content).hexdigest(), len(content))
    copied = (tmp_path / "copy").stat()
    assert copied.st_blocks <= path.stat().st_blocks + 64


def test_what_is_added_during_the_copy_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"x" * 100)
    with path.open("rb") as source, (tmp_path / "copy").open("xb+") as copy:
        os.fstat(source.fileno())
        assert copy_and_hash(source.fileno(), copy.fileno()).size == 100
