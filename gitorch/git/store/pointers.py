"""Git LFS pointers, and the attributes that make a path an LFS file.

The format is that of git-lfs (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n"
    rb"oid sha256:([0-9a-f]{64})\n"
    rb"size (0|[1-9][0-9]*)\n\Z"
)
# The sizes of pointers, in bytes: the number of the size has 1 to 19 digits.
SIZES_OF_POINTERS = range(126, 146)
# git ignores a line of 2048 characters or more, and fsck complains about such a line.
_LONGEST_LINE = 2000


class Pointer(NamedTuple):
    """The content of an LFS pointer."""

    sha256: str
    size: int

    def render(self) -> bytes:
        lines = (
            "version https://git-lfs.github.com/spec/v1",
            f"oid sha256:{self.sha256}",
            f"size {self.size}",
        )
        return "".join(f"{line}\n" for line in lines).encode()


def parse_pointer(data: bytes) -> Pointer | None:
    """Return the pointer in `data`, or None if `data` is not exactly a pointer."""
    match = _POINTER.match(data)
    return Pointer(match[1].decode(), int(match[2])) if match else None


def gitattributes_for(paths: Iterable[str]) -> bytes:
    """Return the .gitattributes that makes exactly these paths LFS files.

    The paths are relative to the directory of the .gitattributes.
    """
    lines: list[bytes] = []
    for path in sorted(paths):
        lines.append(b"%s filter=lfs diff=lfs merge=lfs -text\n" % _pattern(path))
    return b"".join(lines)


def _pattern(path: str) -> bytes:
    """Return a pattern that matches `path` alone.

    If this pattern is too long, return one for the file's name in any directory.
    """
    quoted = _quoted(b"/" + os.fsencode(path))
    if len(quoted) < _LONGEST_LINE:
        return quoted
    return _quoted(os.fsencode(PurePosixPath(path).name))


def _quoted(path: bytes) -> bytes:
    """Return the pattern for a literal path (gitattributes(5)).

    A path with a space, a quote, or a byte that is not printable ASCII is quoted as in C.
    """
    literal = re.sub(rb"([*?\[\\!#])", rb"\\\1", path)
    if re.fullmatch(rb"[!#-~]+", literal):
        return literal
    quoted = bytearray()
    for byte in literal:
        if byte < 0x20 or byte >= 0x7F:
            quoted += b"\\%03o" % byte
        elif byte in b'\\"':
            quoted += b"\\%c" % byte
        else:
            quoted.append(byte)
    return b'"%s"' % quoted
