"""The programs of gitorch that attempts need on hosts where gitorch is not installed."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gitorch

_PACKAGE = Path(gitorch.__file__).parent
PROGRAMS = str(_PACKAGE.parent)  # on a host that shares the file system
_PARTS = ("*.py", "engines/**/*.py", "model/**/*.py", "tools/*.py", "runner/**/*")


@cache
def digest() -> str:
    """Return the digest of the programs, which is their name on hosts."""
    found = hashlib.sha256()
    for name, path in _files():
        found.update(name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:32]


def archive() -> bytes:
    """Return the programs as an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for name, path in _files():
            tar.add(path, name)
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    for pattern in _PARTS:
        for path in sorted(_PACKAGE.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                yield f"gitorch/{path.relative_to(_PACKAGE)}", path
