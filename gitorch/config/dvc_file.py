"""DVC's pointer files (`data.csv.dvc`), which stand for data that git does not hold.

The format is described at https://dvc.org/doc/user-guide/project-structure/dvc-files.
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

SUFFIX = ".dvc"
LARGEST = 1 << 16  # bytes; a pointer to one file or directory is shorter
_MD5 = r"[0-9a-f]{32}(\.dir)?"


class DvcPointer(NamedTuple):
    """The one file or directory that a pointer file stands for.

    `md5` is that of the file. Of a directory it is that of DVC's list of its files, followed by
    `.dir`. `path` is relative to the directory of the pointer file.
    """

    path: str
    md5: str
    size: int  # bytes

    @property
    def digest(self) -> str:
        return f"md5:{self.md5}"


def parse_dvc_file(data: bytes) -> DvcPointer | None:
    """Return the pointer in `data`, or None if it is not a pointer to exactly one path."""
    from gitorch.config.yaml_parser import (  # noqa: PLC0415  with YAML: 20 ms
        parse_document,
    )

    document = parse_document(data, "")
    match document.value if document.root else None:
        case {"outs": [{"md5": str(md5), "path": str(path), **facts}]}:
            size = facts.get("size", 0)
            is_inside = not path.startswith(("/", "..")) and "\0" not in path
            if is_inside and isinstance(size, int) and re.fullmatch(_MD5, md5):
                return DvcPointer(posixpath.normpath(path), md5, max(size, 0))
    return None
