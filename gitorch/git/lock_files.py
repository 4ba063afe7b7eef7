"""The files of a commit that fix the versions of the packages which its code needs."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitorch.git.repository import Repository

if TYPE_CHECKING:
    import pygit2

_LOCK_FILE = re.compile(
    r"uv\.lock|pylock(?:\.[^.]+)?\.toml|poetry\.lock|pdm\.lock|pixi\.lock|Pipfile\.lock"
    r"|(?:.*[-_.])?requirements.*\.txt|environment.*\.ya?ml|conda.*lock\.ya?ml"
    r"|renv\.lock|Manifest\.toml"
)


def lock_files(repo: Repository, commit: str, directory: str) -> dict[str, str]:
    """Return the SHA-256 of each lock file, by its path in the commit.

    The files are those in `directory` and in the directories above it. A commit or a directory that
    this clone does not have has none.
    """
    from gitorch.git.libgit2 import pygit2  # noqa: PLC0415  a worker without tasks needs none

    found = {}
    try:
        tree = repo.pygit[commit].peel(pygit2.Tree)
        for path in _with_parents(directory):
            for blob in _files_in(tree, path):
                if blob.name and _LOCK_FILE.fullmatch(blob.name):
                    name = posixpath.join(path, blob.name)
                    found[name] = hashlib.sha256(blob.data).hexdigest()
    except (KeyError, ValueError, pygit2.GitError):
        return found
    return found


def _with_parents(directory: str) -> Iterator[str]:
    path = posixpath.normpath(directory).strip("/")
    while path not in ("", "."):
        yield path
        path = posixpath.dirname(path)
    yield ""


def _files_in(tree: pygit2.Tree, path: str) -> Iterator[pygit2.Blob]:
    from gitorch.git.libgit2 import pygit2  # noqa: PLC0415  a worker without tasks needs none

    node = tree / path if path else tree
    for entry in node if isinstance(node, pygit2.Tree) else ():
        if isinstance(entry, pygit2.Blob):
            yield entry
