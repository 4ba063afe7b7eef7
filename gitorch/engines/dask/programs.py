"""The programs of gitorch that attempts need on hosts where gitorch is not installed."""

from __future__ import annotations

import hashlib
import io
import tarfile
from functools import cache
from pathlib import Path

import gitorch

_PACKAGE = Path(gitorch.__file__).parent
PROGRAMS = str(_PACKAGE.parent)  # on a host that shares the file system
_PARTS = ("*.py", "engines/**/*.py", "model/**/*.py", "tools/*.py", "runner/**/*")


@cache
def programs() -> tuple[str, bytes]:
    """Return the programs of attempts as an archive, and its digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for pattern in _PARTS:
            for path in sorted(_PACKAGE.glob(pattern)):
                if path.is_file() and path.suffix != ".pyc":
                    tar.add(path, f"gitorch/{path.relative_to(_PACKAGE)}")
    digest = hashlib.sha256()
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            digest.update(member.name.encode() + b"\0")
            digest.update(b"" if file is None else file.read())
    return digest.hexdigest()[:32], buffer.getvalue()
