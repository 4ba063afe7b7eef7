"""Objects read by the git program, many at one spawn: for readers, which then need not load pygit2."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitorch.git.command import call_git, reading_git

_BLOCK = 1 << 20


def read_objects(root: Path, names: Sequence[str], kind: str = "blob") -> list[bytes | None]:
    """The data of each object named (an oid, or `<commit>:<path>`); None where there is none of that kind."""
    if not names:
        return []
    asked = [os.fsencode(name) for name in names]
    said = call_git(root, "cat-file", "--batch", "--buffer", "-z", input=b"\0".join(asked) + b"\0")
    found: list[bytes | None] = []
    position = 0
    for name in asked:
        if said.startswith(absent := name + b" missing\n", position):
            position += len(absent)
            found.append(None)
            continue
        end = said.index(b"\n", position)
        _, its_kind, size = said[position:end].split(b" ")
        start, position = end + 1, end + 1 + int(size) + 1
        found.append(said[start : position - 1] if its_kind.decode() == kind else None)
    return found


def digests_of_blobs(root: Path, oids: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Oid, size and SHA-256 of each blob; memory stays flat. Raises GitFailed, ValueError where one is not there."""
    if not oids:
        return
    with reading_git(
        root, "cat-file", "--batch", "--buffer", input="\n".join(oids).encode() + b"\n"
    ) as answers:
        for oid in oids:
            _, _, size = answers.readline().split(b" ")
            digest = hashlib.sha256()
            left = int(size)
            while left:
                block = answers.read(min(left, _BLOCK))
                digest.update(block)
                left -= len(block)
            answers.read(1)  # the end of the line
            yield oid, int(size), digest.hexdigest()
