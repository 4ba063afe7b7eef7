"""Objects read by the git program, which is started once for many of them.

Readers that use this module need not load pygit2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitorch.git.command import call_git, run_git, stream_git

_BLOCK = 1 << 20
_NO_OBJECT = "0" * 40
_WORDS = 3  # of the line before an object: oid, kind and size


def has_commit(root: Path, commit: str) -> bool:
    """Return True if this clone has the commit."""
    return run_git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def read_objects(
    root: Path, names: Sequence[str], kind: str = "blob"
) -> list[bytes | None]:
    """Return the data of each named object, or None if there is no such object of this kind.

    A name is an oid or `<commit>:<path>`.
    """
    if not names:
        return []
    requests = _requests(root, names)
    input = b"\n".join(requests) + b"\n"
    output = call_git(root, "cat-file", "--batch", "--buffer", input=input)
    objects: list[bytes | None] = []
    position = 0
    for request in requests:
        missing = request + b" missing\n"
        if output.startswith(missing, position):
            position += len(missing)
            objects.append(None)
            continue
        # One line "<oid> <kind> <size>", then the data and a line end.
        end = output.index(b"\n", position)
        words = output[position:end].split(b" ")
        start = end + 1
        if len(words) != _WORDS:  # "<oid> submodule", of newer versions of git
            position = start
            objects.append(None)
            continue
        _, its_kind, size = words
        position = start + int(size) + 1
        if its_kind.decode() == kind:
            objects.append(output[start : position - 1])
        else:
            objects.append(None)
    return objects


def oids_of_blobs(root: Path, names: Sequence[str]) -> list[str | None]:
    """Return the oid of each named blob, or None if there is no such blob. Raises GitFailed."""
    if not names:
        return []
    input = b"\n".join(_requests(root, names)) + b"\n"
    options = ("--batch-check=%(objecttype) %(objectname)", "--buffer")
    output = call_git(root, "cat-file", *options, input=input)
    oids: list[str | None] = []
    for line in output.decode(errors="surrogateescape").splitlines():
        kind, _, oid = line.partition(" ")
        oids.append(oid if kind == "blob" else None)
    return oids


def _requests(root: Path, names: Sequence[str]) -> list[bytes]:
    """Return a line for each name. git reads names that end with NUL (-z) since 2.38 only."""
    requests = []
    for name in names:
        line = name
        if "\n" in name or name.endswith("\r"):
            result = run_git(root, "rev-parse", "--verify", "--quiet", name)
            line = os.fsdecode(result.stdout).strip() or _NO_OBJECT
        requests.append(os.fsencode(line))
    return requests


def read_bounded(
    root: Path, names: Sequence[str], largest: int
) -> Iterator[bytes | None]:
    """Yield the first `largest` bytes of each named blob, or None if there is no such blob.

    Only one of them is in memory at a time. A name has no line end. Raises GitFailed.
    """
    if not names:
        return
    input = "".join(f"{name}\n" for name in names).encode()
    with stream_git(root, "cat-file", "--batch", "--buffer", input=input) as output:
        for _ in names:
            words = output.readline().split()
            if len(words) != _WORDS:
                yield None
                continue
            remaining = int(words[2])
            data = output.read(min(remaining, largest))
            remaining -= len(data)
            while remaining:
                remaining -= len(output.read(min(remaining, _BLOCK)))
            output.read(1)  # the end of the line
            yield data if words[1] == b"blob" else None


def digests_of_blobs(
    root: Path, oids: Sequence[str]
) -> Iterator[tuple[str, int, str]]:
    """Yield oid, size and SHA-256 of each blob, with one block in memory at a time.

    Raises GitFailed, or ValueError if a blob is missing.
    """
    if not oids:
        return
    import hashlib  # noqa: PLC0415  loads OpenSSL in 4 ms, which listing does not need

    input = "\n".join(oids).encode() + b"\n"
    with stream_git(root, "cat-file", "--batch", "--buffer", input=input) as output:
        for oid in oids:
            _, _, size = output.readline().split(b" ")
            digest = hashlib.sha256()
            remaining = int(size)
            while remaining:
                block = output.read(min(remaining, _BLOCK))
                digest.update(block)
                remaining -= len(block)
            output.read(1)  # the end of the line
            yield oid, int(size), digest.hexdigest()
